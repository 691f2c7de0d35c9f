// The picture of a graph as SVG.
#include <algorithm>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_replace.h>

#include "src/status/graph.h"

namespace tidemark {
namespace {

constexpr size_t kNameCharacters = 21, kSummaryCharacters = 26;

std::string Escape(absl::string_view text) {
  return absl::StrReplaceAll(text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

// Cut to what has room, at a character.
std::string Shorten(const std::string& text, size_t most) {
  size_t characters = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) == 0x80) continue;  // goes on with a character
    if (++characters > most) return text.substr(0, i) + "…";
  }
  return text;
}

const GraphBox& Find(const Graph& graph, const std::string& name) {
  return *std::find_if(graph.boxes.begin(), graph.boxes.end(), [&](const GraphBox& box) { return box.name == name; });
}

constexpr char kStyle[] = R"(<style>
.graph text { font: 12px system-ui, sans-serif; fill: var(--ink, #1c2733); }
.graph .name { font-size: 13px; font-weight: 600; }
.graph .summary, .graph .note, .graph .out { fill: var(--soft, #52606d); font-size: 11px; }
.graph .box { fill: var(--card, #ffffff); stroke: var(--line, #c3ccd5); stroke-width: 1.25; }
.graph .kind { fill: var(--step, #2f6f9f); }
.graph .source .kind { fill: var(--source, #2e7d58); }
.graph .sink .kind, .graph .view .kind { fill: var(--sink, #8a5a14); }
.graph .arrow { fill: none; stroke: var(--line, #9aa8b5); stroke-width: 1.5; }
.graph .shuffled { stroke-dasharray: 5 4; }
.graph .head { fill: var(--line, #9aa8b5); }
.graph .busy { fill: var(--busy, #dbe8f2); }
.graph .limit .box { stroke: var(--alert, #b3261e); stroke-width: 2.5; }
@media (prefers-color-scheme: dark) {
  svg.graph:root text { fill: #e3e8ee; } svg.graph:root .summary { fill: #9dabb8; }
  svg.graph:root { background: #12181f; } svg.graph:root .box { fill: #1b232c; stroke: #3a4754; }
}
</style>)";

void DrawArrow(const Graph& graph, const GraphArrow& arrow, std::string* out) {
  const GraphBox &from = Find(graph, arrow.from), &to = Find(graph, arrow.to);
  const double x1 = from.x + Graph::kBoxWidth, y1 = from.y + Graph::kBoxHeight / 2;
  const double x2 = to.x - 7, y2 = to.y + Graph::kBoxHeight / 2;
  const double bend = std::max(28.0, std::min(60.0, (x2 - x1) / 2));
  absl::StrAppendFormat(out,
                        "<g data-from=\"%s\" data-to=\"%s\"><path class=\"arrow%s\" d=\"M%.0f %.0f C%.0f %.0f %.0f "
                        "%.0f %.0f %.0f\"/><path class=\"head\" d=\"M%.0f %.0f l-8 -4.5 v9 z\"/></g>\n",
                        Escape(arrow.from), Escape(arrow.to), arrow.shuffled ? " shuffled" : "", x1, y1, x1 + bend, y1,
                        x2 - bend, y2, x2, y2, x2 + 6, y2);
}

void DrawBox(const GraphBox& box, const BoxTexts& texts, std::string* out) {
  const auto text = texts.find(box.name);
  const std::string summary = text == texts.end() ? "" : text->second.summary;
  const std::string name = Escape(box.name);
  absl::StrAppendFormat(
      out,
      "<g class=\"node %s\" data-node=\"%s\" transform=\"translate(%.0f %.0f)\"><title>%s: %s</title>"
      "<rect class=\"box\" width=\"%.0f\" height=\"%.0f\" rx=\"7\"/>"
      "<rect class=\"busy\" x=\"1\" y=\"1\" width=\"0\" height=\"%.0f\" rx=\"6\"/>"
      "<rect class=\"kind\" width=\"4\" height=\"%.0f\" rx=\"2\"/>"
      "<text class=\"name\" x=\"14\" y=\"20\">%s</text><text class=\"summary\" x=\"14\" y=\"36\">%s</text>"
      "<text class=\"rate\" x=\"14\" y=\"54\"></text><text class=\"note\" x=\"14\" y=\"69\"></text>"
      "<text class=\"out\" x=\"%.0f\" y=\"%.0f\"></text></g>\n",
      box.kind, name, box.x, box.y, name, Escape(summary), Graph::kBoxWidth, Graph::kBoxHeight, Graph::kBoxHeight - 2,
      Graph::kBoxHeight, Escape(Shorten(box.name, kNameCharacters)), Escape(Shorten(summary, kSummaryCharacters)),
      Graph::kBoxWidth + 6, Graph::kBoxHeight / 2 - 6);
}

}  // namespace

std::string DrawSvg(const Graph& graph, const BoxTexts& texts) {
  std::string out = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"graph\" role=\"img\" aria-label=\"the topology\" "
      "viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\">\n%s\n",
      graph.width, graph.height, graph.width, graph.height, kStyle);
  for (const GraphArrow& arrow : graph.arrows) DrawArrow(graph, arrow, &out);
  for (const GraphBox& box : graph.boxes) DrawBox(box, texts, &out);
  return absl::StrCat(out, "</svg>\n");
}

}  // namespace tidemark
