// XML: the elements at one path are rows, and columns are texts and attributes in there (src/plan/xml_path.h). Each row
// becomes an object of its columns' paths. Parsed as it comes, by libxml2's events: of the document nothing is kept but
// the row that is being read.
//
// Names are local ones. Files declare their encoding. A document type isn't read, so there are no entities but those
// that XML has of itself, and nothing that is looked up elsewhere.
#include <libxml/SAX2.h>
#include <libxml/entities.h>
#include <libxml/parser.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/base/status.h"
#include "src/landing/cell.h"
#include "src/landing/content.h"
#include "src/landing/file_records.h"
#include "src/plan/xml_path.h"

namespace tidemark {
namespace {

constexpr size_t kMostDepth = 256;
constexpr char kInstance[] = "http://www.w3.org/2001/XMLSchema-instance";

std::string_view View(const xmlChar* text) { return reinterpret_cast<const char*>(text); }

class XmlRecords final : public FileRecords {
 public:
  XmlRecords(const SourcePlan& source, std::unique_ptr<FileContent> content)
      : row_(source.files->row), content_(std::move(content)) {}
  ~XmlRecords() override { xmlFreeParserCtxt(parser_); }

  absl::Status Begin(const SourcePlan& source) {
    if (row_.empty())
      return absl::InvalidArgumentError("the file is xml, and the source doesn't say which `row` it has");
    for (const SourceColumn& column : source.columns) {
      if (column.from != SourceColumn::From::kValue) continue;
      const auto path = XmlPath::Parse(column.path.front());
      if (!path) {
        return absl::InvalidArgumentError(
            absl::StrCat("column ", column.column.name, ": '", column.path.front(), "' is no path in xml"));
      }
      Node& node = NodeAt(path->elements);
      const size_t value = values_.size();
      if (path->attribute.empty()) {
        node.texts.push_back(value);
      } else {
        node.attributes.emplace_back(path->attribute, value);
      }
      values_.push_back({column.column.type.kind, column.column.type.form, JsonKey(column.path.front())});
    }
    std::string head;
    for (bool more = true; more && head.size() < 4;) {
      TM_ASSIGN_OR_RETURN(more, content_->Read(&head));
    }
    if (head.empty()) return absl::InvalidArgumentError("line 1: the file is empty, and an element is expected");
    static const bool initialized = (xmlInitParser(), true);
    xmlSAXHandler events = Events();
    // The first four bytes tell the encoding, where it isn't declared.
    const int known = head.size() < 4 ? 0 : 4;
    parser_ = initialized ? xmlCreatePushParserCtxt(&events, this, head.data(), known, nullptr) : nullptr;
    if (parser_ == nullptr) return absl::UnavailableError("no memory for a parser of XML");
    xmlCtxtUseOptions(parser_, XML_PARSE_NONET);
    return Parse(std::string_view(head).substr(static_cast<size_t>(known)));
  }

  absl::StatusOr<bool> Read(int64_t bytes, std::vector<FileRecord>* out) override {
    for (int64_t taken = 0; taken < bytes && !ended_; taken += static_cast<int64_t>(piece_.size())) {
      piece_.clear();
      TM_ASSIGN_OR_RETURN(const bool more, content_->Read(&piece_));
      ended_ = !more;
      TM_RETURN_IF_ERROR(Parse(piece_));
    }
    std::move(found_.begin(), found_.end(), std::back_inserter(*out));
    found_.clear();
    return !ended_;
  }
  std::string hash() const override { return content_->hash(); }

 private:
  // An element below a row that columns are in, or below.
  struct Node {
    std::string name;
    std::vector<size_t> children;                            // among the nodes
    std::vector<size_t> texts;                               // the values that its text is
    std::vector<std::pair<std::string, size_t>> attributes;  // ... and those of its attributes
  };
  // Of a column, in the row that is being read.
  struct Value {
    Kind kind;
    TimestampForm form;
    std::string key;  // "path":
    bool there = false, nil = false;
    std::string text;
  };
  static constexpr size_t kNoNode = SIZE_MAX;

  Node& NodeAt(const std::vector<std::string>& elements) {
    size_t at = 0;
    for (const std::string& name : elements) {
      size_t child = ChildOf(at, name);
      if (child == kNoNode) {
        child = nodes_.size();
        nodes_[at].children.push_back(child);
        nodes_.push_back({name, {}, {}, {}});
      }
      at = child;
    }
    return nodes_[at];
  }
  size_t ChildOf(size_t node, std::string_view name) const {
    for (const size_t child : nodes_[node].children) {
      if (nodes_[child].name == name) return child;
    }
    return kNoNode;
  }

  absl::Status Parse(std::string_view bytes) {
    const bool last = ended_;
    for (size_t at = 0; status_.ok() && (at < bytes.size() || last);) {
      const size_t size = std::min<size_t>(bytes.size() - at, 1 << 20);
      const bool ends = last && at + size == bytes.size();
      xmlParseChunk(parser_, bytes.data() + at, static_cast<int>(size), ends ? 1 : 0);
      at += size;
      if (status_.ok() && parser_->wellFormed == 0) Fail("it isn't well-formed XML");
      if (ends) break;
    }
    return status_;
  }

  int64_t line() const { return parser_ == nullptr || parser_->input == nullptr ? 1 : parser_->input->line; }
  void Fail(std::string_view why) {
    if (!status_.ok()) return;
    status_ = absl::InvalidArgumentError(absl::StrCat("line ", line(), ": ", std::string(why)));
    if (parser_ != nullptr) xmlStopParser(parser_);
  }

  // ---- The parser's events ----

  static XmlRecords& Of(void* self) { return *static_cast<XmlRecords*>(self); }

  static xmlSAXHandler Events() {
    xmlSAXHandler events;
    std::memset(&events, 0, sizeof(events));
    events.initialized = XML_SAX2_MAGIC;
    events.internalSubset = [](void* self, const xmlChar*, const xmlChar*, const xmlChar*) {
      Of(self).Fail("a document type declaration isn't read");
    };
    events.getEntity = [](void*, const xmlChar* name) { return xmlGetPredefinedEntity(name); };
    events.startElementNs = [](void* self, const xmlChar* name, const xmlChar*, const xmlChar*, int, const xmlChar**,
                               int count, int,
                               const xmlChar** attributes) { Of(self).StartElement(View(name), count, attributes); };
    events.endElementNs = [](void* self, const xmlChar*, const xmlChar*, const xmlChar*) { Of(self).EndElement(); };
    const charactersSAXFunc text = [](void* self, const xmlChar* text, int size) {
      Of(self).Text({reinterpret_cast<const char*>(text), static_cast<size_t>(size)});
    };
    events.characters = events.ignorableWhitespace = events.cdataBlock = text;
    events.serror = [](void* self, xmlErrorPtr error) {
      // Warnings and what only namespaces have against it leave it readable.
      if (error->level < XML_ERR_FATAL) return;
      const absl::string_view why = error->message == nullptr ? "it isn't XML" : error->message;
      // The parser says the same of a file that is cut off and of one that goes on behind its element.
      const bool cut = error->code == XML_ERR_DOCUMENT_END && Of(self).depth_ > 0;
      Of(self).FailAt(error->line,
                      cut ? "the file ends before its element does" : absl::StripTrailingAsciiWhitespace(why));
    };
    return events;
  }
  // The parser stops by itself.
  void FailAt(int line, absl::string_view why) {
    if (status_.ok()) status_ = absl::InvalidArgumentError(absl::StrCat("line ", line, ": ", why));
  }

  void StartElement(std::string_view name, int attributes, const xmlChar** attribute) {
    if (!status_.ok()) return;
    if (++depth_ > kMostDepth) return Fail(absl::StrCat("elements lie more than ", kMostDepth, " deep"));
    if (open_.empty()) {
      const bool below = matched_ == depth_ - 1 && depth_ <= row_.size() && row_[depth_ - 1] == name;
      if (depth_ == 1 && !below) {
        return Fail(absl::StrCat("the file's element is '", std::string(name), "', and /", absl::StrJoin(row_, "/"),
                                 " is expected"));
      }
      if (!below) return;
      matched_ = depth_;
      if (matched_ < row_.size()) return;
      BeginRow();
      open_.push_back(0);
    } else {
      open_.push_back(open_.back() == kNoNode ? kNoNode : ChildOf(open_.back(), name));
    }
    if (open_.back() != kNoNode) BeginNode(nodes_[open_.back()], attributes, attribute);
  }

  void BeginNode(const Node& node, int attributes, const xmlChar** attribute) {
    bool nil = false;
    // Five pointers each: local name, prefix, what it stands for, and the value's beginning and end.
    for (int i = 0; i < attributes; ++i, attribute += 5) {
      const std::string_view name = View(attribute[0]);
      const std::string_view text(reinterpret_cast<const char*>(attribute[3]),
                                  static_cast<size_t>(attribute[4] - attribute[3]));
      nil = nil || (name == "nil" && attribute[2] != nullptr && View(attribute[2]) == kInstance &&
                    (text == "true" || text == "1"));
      for (const auto& [wanted, value] : node.attributes) {
        if (wanted != name) continue;
        Come(&values_[value]);
        Add(&values_[value], text);
      }
    }
    for (const size_t value : node.texts) {
      Come(&values_[value]);
      values_[value].nil = nil;
    }
  }

  // A second one of the row has no place in the column.
  void Come(Value* value) {
    if (value->there && reason_.empty()) {
      reason_ = absl::StrCat("there is more than one ", value->key.substr(0, value->key.size() - 1));
    }
    value->there = true;
  }
  void Add(Value* value, std::string_view text) {
    row_bytes_ += text.size();
    if (row_bytes_ > kMaxFileRecord) {
      return Fail(absl::StrCat("a row that begins in line ", row_line_, " is larger than ", kMaxFileRecord, " bytes"));
    }
    value->text.append(text);
  }

  void Text(std::string_view text) {
    if (!status_.ok() || open_.empty() || open_.back() == kNoNode) return;
    for (const size_t value : nodes_[open_.back()].texts) Add(&values_[value], text);
  }

  void EndElement() {
    if (!status_.ok()) return;
    if (!open_.empty()) {
      open_.pop_back();
      if (open_.empty()) EndRow();
    }
    --depth_;
    matched_ = std::min(matched_, depth_);
  }

  void BeginRow() {
    row_line_ = line();
    row_bytes_ = 0;
    reason_.clear();
    for (Value& value : values_) {
      value.there = value.nil = false;
      value.text.clear();
    }
  }

  void EndRow() {
    TextBuffer out(&json_);
    out.Append("{");
    bool first = true;
    for (const Value& value : values_) {
      if (!value.there || value.nil) continue;
      std::string_view text = value.text;
      // Space around a number is a matter of layout; in a text it may be one of its own.
      if (!IsText(value.kind)) {
        const absl::string_view trimmed = absl::StripAsciiWhitespace(absl::string_view(text.data(), text.size()));
        text = {trimmed.data(), trimmed.size()};
        if (text.empty()) continue;
      }
      if (!first) out.Append(",");
      first = false;
      out.Append(value.key);
      AppendCell(value.kind, value.form, text, &out);
    }
    out.Append("}");
    found_.push_back({row_line_, std::string(out.View(0, out.size())), reason_});
  }

  const std::vector<std::string> row_;
  const std::unique_ptr<FileContent> content_;
  std::vector<Node> nodes_ = std::vector<Node>(1);  // the first one is the row
  std::vector<Value> values_;
  xmlParserCtxtPtr parser_ = nullptr;
  std::string piece_;  // that is being parsed
  bool ended_ = false;
  absl::Status status_;  // why it can't go on

  size_t depth_ = 0, matched_ = 0;  // elements that are open, and so many of them lead to rows
  std::vector<size_t> open_;        // from a row downwards: nodes, or kNoNode
  int64_t row_line_ = 0;
  size_t row_bytes_ = 0;
  std::string reason_;  // why the row isn't one
  std::vector<FileRecord> found_;
  std::string json_;  // scratch
};

}  // namespace

absl::StatusOr<std::unique_ptr<FileRecords>> NewXmlRecords(const SourcePlan& source,
                                                           std::unique_ptr<FileContent> content) {
  auto records = std::make_unique<XmlRecords>(source, std::move(content));
  TM_RETURN_IF_ERROR(records->Begin(source));
  return std::unique_ptr<FileRecords>(std::move(records));
}

}  // namespace tidemark
