# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/text: a small T5 tokenizer, and what transformers and rouge_score make of texts.

Run with Python packages transformers, sentencepiece, protobuf and rouge-score: `python tests/golden/text.py`.
  spiece.model    400 pieces, made of the project's own documents
  encoded.jsonl   {"text", "ids"}: T5Tokenizer(legacy=True)(text).input_ids
  decoded.jsonl   {"ids", "text"}: decode(ids, skip_special_tokens=True)
  rouge.jsonl     {"prediction", "reference", "rouge1", "rouge2", "rouge_l"}: F1 of rouge_score
"""
import json
import pathlib
import random
import shutil

import sentencepiece
from rouge_score.rouge_scorer import RougeScorer
from transformers import T5Tokenizer

root = pathlib.Path(__file__).parent.parent.parent
target = pathlib.Path(__file__).parent / "text"
shutil.rmtree(target, ignore_errors=True)
target.mkdir()
random.seed(1)

documents = sorted(p for pattern in ("*.md", "docs/*.md", "include/**/*.hpp") for p in root.glob(pattern))
lines = [line.strip() for p in documents for line in p.read_text().split("\n") if line.strip()]
(target / "lines.txt").write_text("\n".join(lines))
sentencepiece.SentencePieceTrainer.train(
    input=str(target / "lines.txt"), model_prefix=str(target / "spiece"), vocab_size=400, model_type="unigram",
    pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2)
(target / "lines.txt").unlink()
(target / "spiece.vocab").unlink()
tokenizer = T5Tokenizer.from_pretrained(str(target), legacy=True)
plain = sentencepiece.SentencePieceProcessor(model_file=str(target / "spiece.model"))


def write(name, objects):
    with open(target / name, "w") as file:
        for one in objects:
            file.write(json.dumps(one) + "\n")


odd = [
    "", " ", "a", "  two  blanks  ", "ends with</s>", "</s>", "<pad> a", "a <extra_id_0> b<extra_id_99>c",
    "<extra_id_00> <extra_id_100> <extra_id_5", "<extra_id_5 >", "<extra_id_-1>", "<extra_id_+1>", "<extra_id_>",
    "<unk>", "<unk><unk>x", "a<b<c>", "<<pad>>", "tab\there", "line\nbreak\r\n", "nb\u00a0sp", "\u3000wide",
    "zero\u200bwidth", "\U0001f469\u200d\U0001f467 family", "\u2581under\u2581", "unknown \u8c46\u8150 run", "\uff21\uff42",
    "<extra_id_1><extra_id_2>", "a <extra_id_1> <extra_id_2> b", "word<extra_id_7>.", " <pad>  x  </s> y ",
    "caf\u00e9 \ufb01ligature", "\u00adsoft", "<extra_id_1234567890123456789>", "summarize: ", "<", "<extra_id_12", "\u00bd",
]
pieces = ["</s>", "<pad>", "<extra_id_3>", "x<extra_id_44>y", "<unk>", "<extra_id_", "\u00a0", "\u00e9", "<", "\u8c46"]
texts = odd + random.sample([line for line in lines if len(line) > 20], 60)
for text in texts[len(odd) : len(odd) + 40]:
    words = text.split(" ")
    for _ in range(3):
        words.insert(random.randrange(len(words) + 1), random.choice(pieces))
    texts.append(" ".join(words))
encoded = [{"text": text, "ids": tokenizer(text).input_ids} for text in texts]
# Where two segmentations score the same, the two libraries may take one each; such a text would test nothing.
encoded = [e for e in encoded if "<" in e["text"] or e["ids"] == plain.encode(e["text"]) + [1]]
write("encoded.jsonl", encoded)

size = len(tokenizer)
blank = tokenizer.convert_tokens_to_ids("\u2581")
rows = [e["ids"] for e in encoded]
rows += [[random.randrange(size) for _ in range(random.randrange(1, 12))] for _ in range(100)]
rows += [[blank, blank, 20], [blank], [blank, 1], [0, blank, 30], [1], [], [20, blank, blank], [2, 2, 20]]
write("decoded.jsonl", [{"ids": ids, "text": tokenizer.decode(ids, skip_special_tokens=True)} for ids in rows])

words = ["the", "The", "a", "model", "models", "trains", "C++", "x86-64", "caf\u00e9", "\u212aelvin", "\u0130stanbul", "don't", "_", "3.14", "a_b"]
scorer = RougeScorer(["rouge1", "rouge2", "rougeL"])
pairs = [("", ""), ("a", ""), ("", "a"), ("a", "a"), ("...", "a b"), ("a", "a b"), ("a a a", "a"), ("b a", "a b")]
for _ in range(150):
    count = random.choice([3, 6, len(words)])
    pairs.append(tuple(" ".join(random.choices(words[:count], k=random.randrange(1, 14))) for _ in range(2)))
rows = []
for prediction, reference in pairs:
    score = scorer.score(reference, prediction)
    rows.append(dict(prediction=prediction, reference=reference, rouge1=score["rouge1"].fmeasure,
                     rouge2=score["rouge2"].fmeasure, rouge_l=score["rougeL"].fmeasure))
write("rouge.jsonl", rows)
