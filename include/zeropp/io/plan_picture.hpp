// SPDX-License-Identifier: Apache-2.0
/// \file A planned training as a picture: SVG, a stacked bar a stage, a panel a precision. Its
/// colours are readable on light and on dark pages.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include <zeropp/io/plan_report.hpp>

namespace zeropp {

namespace detail {

class PlanPicture {
public:
    explicit PlanPicture(const PlanReport& report)
        : report_{report}, unit_{report.runs}, kinds_{kinds_of(report.runs)} {
        for (const PlannedRun& run : report.runs) most_ = std::max(most_, run.memory.total());
        // Where the limit is far above all bars it is told in words alone.
        const std::size_t limit = report.request.device_memory;
        if (limit != 0 && limit <= 2 * most_) most_ = std::max(most_, limit);
    }

    std::string svg() {
        const std::size_t panels = report_.runs.size() / 4;
        const double width = margin + static_cast<double>(panels) * panel_width + 10;
        const bool asked = report_.request.device_memory != 0;
        const double legend = top + height + (asked ? 76 : 60);
        const double rows = std::ceil(static_cast<double>(kinds_.size()) / legend_columns(width));
        const double whole = legend + 20 * rows + 10;
        out_ = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + number(width) + " " +
               number(whole) + "\" width=\"" + number(width) + "\" height=\"" + number(whole) +
               "\" font-family=\"sans-serif\" font-size=\"12\" fill=\"" + std::string{ink} +
               "\">\n";
        const PlanRequest& request = report_.request;
        words(margin, 20, "start",
              report_.model + " on " + std::to_string(request.setup.ranks) + " ranks, " +
                  report_.optimizer,
              " font-size=\"15\"");
        words(margin, 38, "start", std::string{unit_.name} + " of a rank; " + report_.batch());
        for (std::size_t p = 0; p < panels; ++p)
            panel(4 * p, margin + static_cast<double>(p) * panel_width);
        for (std::size_t k = 0; k < kinds_.size(); ++k) {
            const auto columns = static_cast<std::size_t>(legend_columns(width));
            const double x = margin + legend_width * static_cast<double>(k % columns);
            const double y = legend + 20 * static_cast<double>(k / columns);
            rectangle(x, y - 10, 12, 12, color(k), "");
            words(x + 18, y, "start", kinds_[k]);
        }
        return out_ + "</svg>\n";
    }

private:
    static constexpr double margin = 20, top = 84, height = 260, panel_width = 350, bar = 66,
                            legend_width = 165;
    static constexpr std::string_view ink = "#7a828c";  ///< 4 : 1 on white and on near black
    static double legend_columns(double width) {
        return std::max(1.0, std::floor((width - margin) / legend_width));
    }

    void panel(std::size_t first, double x) {
        const PlannedRun& head = report_.runs[first];
        words(x + 2 * (bar + 14), top - 20, "middle",
              std::string{name_of(head.precision)} + (head.recompute ? ", recomputing" : ""),
              " font-weight=\"bold\"");
        for (std::size_t s = 0; s < 4; ++s)
            stack(report_.runs[first + s], x + static_cast<double>(s) * (bar + 14) + 7);
        line(x, top + height, x + 4 * (bar + 14), top + height, "");
        const std::size_t limit = report_.request.device_memory;
        if (limit != 0 && limit <= most_) {
            const double y = top + height - tall(limit);
            line(x, y, x + 4 * (bar + 14), y, " stroke-dasharray=\"5 4\"");
            words(x + 4 * (bar + 14), y - 4, "end", byte_size_text(limit), " font-size=\"11\"");
        }
    }
    void stack(const PlannedRun& run, double x) {
        double y = top + height;
        for (std::size_t k = 0; k < kinds_.size(); ++k) {
            const std::size_t bytes = run.memory.bytes_of(kinds_[k]);
            if (bytes == 0) continue;
            y -= tall(bytes);
            rectangle(x, y, bar, tall(bytes), color(k),
                      run.name() + ": " + kinds_[k] + " " + byte_size_text(bytes));
            if (tall(bytes) >= 14)
                words(x + bar / 2, y + tall(bytes) / 2 + 4, "middle", unit_.text(bytes),
                      " font-size=\"11\" fill=\"#ffffff\"");
        }
        words(x + bar / 2, y - 5, "middle", unit_.text(run.memory.total()));
        words(x + bar / 2, top + height + 17, "middle", "stage " + std::to_string(run.stage));
        words(x + bar / 2, top + height + 33, "middle", "sends " + unit_.text(run.sent.total()),
              " font-size=\"10.5\"");
        if (report_.request.device_memory != 0)
            words(x + bar / 2, top + height + 48, "middle",
                  "fits " + micro_batch_text(run.largest_micro_batch), " font-size=\"11\"");
    }

    double tall(std::size_t bytes) const {
        return height * static_cast<double>(bytes) / static_cast<double>(most_);
    }
    static std::string_view color(std::size_t kind) {
        constexpr std::array<std::string_view, 10> colors{
            "#2a66c4", "#5a8fd6", "#a85a10", "#c98238", "#6b4fc0",
            "#22804a", "#4c9a63", "#74797f", "#bb3f5c", "#8d6e2f"};
        return colors[kind % colors.size()];
    }
    static std::string number(double value) {
        char text[32];
        std::snprintf(text, sizeof text, "%.1f", value);
        return text;
    }
    static std::string escaped(std::string_view text) {
        std::string out;
        for (const char c : text)
            if (c == '&')
                out += "&amp;";
            else if (c == '<')
                out += "&lt;";
            else if (c == '>')
                out += "&gt;";
            else
                out += c;
        return out;
    }
    void words(double x, double y, std::string_view anchor, std::string_view text,
               std::string_view attributes = "") {
        out_ += "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" +
                std::string{anchor} + "\"" + std::string{attributes} + ">" + escaped(text) +
                "</text>\n";
    }
    void rectangle(double x, double y, double wide, double high, std::string_view fill,
                   std::string_view hint) {
        out_ += "<rect x=\"" + number(x) + "\" y=\"" + number(y) + "\" width=\"" + number(wide) +
                "\" height=\"" + number(high) + "\" fill=\"" + std::string{fill} + "\">";
        if (!hint.empty()) out_ += "<title>" + escaped(hint) + "</title>";
        out_ += "</rect>\n";
    }
    void line(double x1, double y1, double x2, double y2, std::string_view attributes) {
        out_ += "<line x1=\"" + number(x1) + "\" y1=\"" + number(y1) + "\" x2=\"" + number(x2) +
                "\" y2=\"" + number(y2) + "\" stroke=\"" + std::string{ink} + "\"" +
                std::string{attributes} + "/>\n";
    }

    const PlanReport& report_;
    PlanUnit unit_;
    std::vector<std::string> kinds_;
    std::size_t most_ = 1;
    std::string out_;
};

}  // namespace detail

inline std::string plan_svg(const PlanReport& report) { return detail::PlanPicture{report}.svg(); }

}  // namespace zeropp
