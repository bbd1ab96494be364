#include <csignal>
#include <span>
#include <string>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zeropp/format/file.hpp>
#include <zeropp/format/json.hpp>

#include "support/catch.hpp"
#include "support/temporary.hpp"

namespace zp = zeropp;
using zp::testing::message_of;
using zp::testing::TemporaryFolder;

TEST_CASE("an input file gives the bytes that are asked for, and says where it ends before") {
    const TemporaryFolder folder;
    const auto path = folder.write("f", "0123456789");
    const zp::InputFile file{path};
    CHECK(file.size() == 10);
    std::string text(4, ' ');
    file.read_at(3, std::as_writable_bytes(std::span{text}));
    CHECK(text == "3456");
    folder.write("f", "01234");  // the same file, cut short
    CHECK(message_of([&] { file.read_at(3, std::as_writable_bytes(std::span{text})); },
                     folder.path()) ==
          "zeropp: f: ends at byte 5, expected 10 bytes as when it was opened");
    CHECK(message_of([&] { const zp::InputFile none{folder / "none"}; }, folder.path()) ==
          "zeropp: none: No such file or directory, expected a readable file");
    CHECK(message_of([&] { const zp::InputFile is{folder.path()}; }) ==
          "zeropp: " + folder.path().string() + ": is no regular file, expected one");
}

TEST_CASE("a new file replaces the old one at once, or leaves it alone") {
    const TemporaryFolder folder;
    folder.write("f", "old");
    {
        zp::NewFile file{folder / "f"};
        file.write("new");
        CHECK(zp::read_text(folder / "f") == "old");
    }
    CHECK(zp::read_text(folder / "f") == "old");
    CHECK_FALSE(std::filesystem::exists(folder / "f.partial"));
    zp::NewFile file{folder / "f"};
    file.write("new");
    file.sync();
    file.publish();
    zp::sync_folder(folder.path());
    CHECK(zp::read_text(folder / "f") == "new");
    CHECK_FALSE(std::filesystem::exists(folder / "f.partial"));
}

TEST_CASE("what is no regular file is written to, not replaced") {
    const TemporaryFolder folder;
    const auto pipe = folder / "pipe";
    REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
    const int reader = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK);
    {
        zp::NewFile file{pipe};
        file.write("text");
        CHECK(message_of([&] { file.write("again"); }, folder.path()) ==
              "zeropp: pipe: is no regular file, expected one for what is not written in order");
        file.sync();
        file.publish();
    }
    char text[8] = {};
    CHECK(::read(reader, text, sizeof text) == 4);
    CHECK(std::string{text} == "text");
    ::close(reader);
    CHECK(std::filesystem::is_fifo(pipe));
}

TEST_CASE("a disk that takes no more is an error that leaves nothing behind") {
    const TemporaryFolder folder;
    // A limit on the size of files stands for the full disk: write fails in the same place.
    const auto before = std::signal(SIGXFSZ, SIG_IGN);
    rlimit limit{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &limit) == 0);
    const rlimit small{1000, limit.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
    const std::string text = message_of(
        [&] {
            zp::NewFile file{folder / "f"};
            file.write(std::string(5000, 'x'));
        },
        folder.path());
    ::setrlimit(RLIMIT_FSIZE, &limit);
    std::signal(SIGXFSZ, before);
    CHECK(text ==
          "zeropp: f: File too large, expected to write the whole file; nothing is left of it");
    CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("a file in a folder that is not there cannot be written") {
    const TemporaryFolder folder;
    CHECK(message_of([&] { const zp::NewFile file{folder / "none/f"}; }, folder.path()) ==
          "zeropp: none/f: No such file or directory, expected a file that can be written");
}
