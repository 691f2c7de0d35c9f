#include "src/expr/regex_syntax.h"

#include <optional>

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "src/base/status.h"
#include "src/expr/characters.h"

namespace tidemark::internal {
namespace {

// The insides of bracket expressions. Letters are Unicode's, as in a database of any locale but C; digits are ASCII's.
constexpr char kWord[] = "\\p{L}\\p{M}\\p{Nd}\\p{Nl}_";
constexpr char kAlnum[] = "\\p{L}\\p{M}\\p{Nd}\\p{Nl}";
constexpr char kAlpha[] = "\\p{L}\\p{M}\\p{Nl}";
constexpr char kSpace[] =
    " \\t\\n\\v\\f\\r\\x{1680}\\x{2000}-\\x{2006}\\x{2008}-\\x{200a}\\x{2028}\\x{2029}\\x{205f}\\x{3000}";

struct NamedClass {
  std::string_view name, inside;
};
constexpr NamedClass kClasses[] = {
    {"alpha", kAlpha},
    {"alnum", kAlnum},
    {"digit", "0-9"},
    {"upper", "\\p{Lu}"},
    {"lower", "\\p{Ll}"},
    {"space", kSpace},
    {"blank", " \\t"},
    {"punct", "\\p{P}\\p{S}"},
    {"cntrl", "\\x{0}-\\x{1f}\\x{7f}"},
    {"xdigit", "0-9A-Fa-f"},
    {"word", kWord},
    {"graph", "\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}"},
    {"print", "\\p{L}\\p{M}\\p{N}\\p{P}\\p{S} "},
};

constexpr int kMostRepeats = 255;  // PostgreSQL's limit

absl::Status Invalid(std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("invalid regular expression: ", std::string(what)));
}
absl::Status Unsupported(std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(std::string(what), " in a regular expression isn't supported"));
}

class Translator {
 public:
  Translator(std::string_view pattern, Regex::Flags flags) : rest_(pattern) { out_.flags = flags; }

  absl::StatusOr<TranslatedRegex> Run() {
    if (rest_.starts_with("***")) return Unsupported("*** at the start");
    TM_RETURN_IF_ERROR(Options());
    while (!rest_.empty()) {
      TM_RETURN_IF_ERROR(Item());
    }
    if (!open_.empty()) return Invalid("parentheses () not balanced");
    return std::move(out_);
  }

 private:
  // What stands before a quantifier.
  enum class Atom { kNone, kCharacter, kGroup };

  bool Skip(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }
  char Next() {
    char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }
  void Emit(std::string_view text, Atom atom) {
    out_.pattern.append(text);
    atom_ = atom;
  }
  void Literal(std::string_view character) {
    if (character.size() == 1 && absl::ascii_ispunct(character[0])) out_.pattern += '\\';
    Emit(character, Atom::kCharacter);
  }

  // (?i) at the start.
  absl::Status Options() {
    if (rest_.size() < 3 || !rest_.starts_with("(?") || !absl::ascii_isalpha(rest_[2])) return absl::OkStatus();
    size_t end = rest_.find(')');
    if (end == std::string_view::npos) return Invalid("parentheses () not balanced");
    TM_ASSIGN_OR_RETURN(Regex::Flags flags, Regex::ParseFlags(rest_.substr(2, end - 2)));
    if (flags.global) return Invalid("invalid embedded option");
    const bool sensitive = rest_.substr(2, end - 2).find('c') != std::string_view::npos;
    out_.flags.ignore_case = flags.ignore_case || (out_.flags.ignore_case && !sensitive);
    out_.flags.newline = out_.flags.newline || flags.newline;
    rest_.remove_prefix(end + 1);
    return absl::OkStatus();
  }

  absl::Status Item() {
    const char c = Next();
    switch (c) {
      case '(':
        return Open();
      case ')':
        if (open_.empty()) return Invalid("parentheses () not balanced");
        open_.pop_back();
        Emit(")", Atom::kGroup);
        return absl::OkStatus();
      case '|':
        out_.alternatives = true;
        Emit("|", Atom::kNone);
        return absl::OkStatus();
      case '^':
        Emit(out_.flags.newline ? "(?m:^)" : "\\A", Atom::kNone);
        return absl::OkStatus();
      case '$':
        Emit(out_.flags.newline ? "(?m:$)" : "\\z", Atom::kNone);
        return absl::OkStatus();
      case '.':
        Emit(".", Atom::kCharacter);
        return absl::OkStatus();
      case '[':
        return Bracket();
      case '\\':
        return Escape();
      case '*':
      case '+':
      case '?':
        return Quantifier(std::string(1, c), /*fixed=*/false);
      case '{':
        if (!rest_.empty() && absl::ascii_isdigit(rest_[0])) return Bound();
        [[fallthrough]];
      default:
        Literal(Character(c));
        return absl::OkStatus();
    }
  }

  // All bytes of the character that begins with this one.
  std::string Character(char first) {
    std::string bytes(1, first);
    while (!rest_.empty() && (static_cast<unsigned char>(rest_[0]) & 0xC0) == 0x80) bytes += Next();
    return bytes;
  }

  absl::Status Open() {
    if (rest_.starts_with("?")) {
      if (!Skip("?:")) {
        bool around =
            rest_.starts_with("?=") || rest_.starts_with("?!") || rest_.starts_with("?<=") || rest_.starts_with("?<!");
        if (around) return Unsupported("lookahead or lookbehind");
        return Invalid("quantifier operand invalid: ( is followed by ?; options stand at the start only");
      }
      Emit("(?:", Atom::kNone);
    } else {
      if (++out_.groups > Regex::kMostGroups) {
        return Unsupported(absl::StrCat("more than ", Regex::kMostGroups, " groups"));
      }
      Emit("(", Atom::kNone);
    }
    open_ += '(';
    return absl::OkStatus();
  }

  absl::Status Quantifier(std::string text, bool fixed) {
    if (atom_ == Atom::kNone) return Invalid("quantifier operand invalid");
    const bool lazy = Skip("?");
    if (lazy) text += '?';
    if (!fixed) {
      (lazy ? out_.lazy : out_.greedy) = true;
      out_.lazy_group = out_.lazy_group || (lazy && atom_ == Atom::kGroup);
    }
    Emit(text, Atom::kNone);  // nor can another quantifier follow
    return absl::OkStatus();
  }

  std::optional<int> Number() {
    int value = 0;
    size_t digits = 0;
    for (; !rest_.empty() && absl::ascii_isdigit(rest_[0]) && digits < 4; ++digits) value = value * 10 + (Next() - '0');
    if (digits == 0 || value > kMostRepeats) return std::nullopt;
    return value;
  }

  absl::Status Bound() {
    auto least = Number();
    if (!least) return Invalid("invalid repetition count(s)");
    std::string text = absl::StrCat("{", *least);
    bool fixed = true;
    if (Skip(",")) {
      fixed = false;
      text += ',';
      if (!rest_.starts_with("}")) {
        auto most = Number();
        if (!most || *most < *least) return Invalid("invalid repetition count(s)");
        absl::StrAppend(&text, *most);
      }
    }
    if (!Skip("}")) return Invalid("invalid repetition count(s)");
    return Quantifier(text + "}", fixed);
  }

  absl::Status Escape() {
    if (rest_.empty()) return Invalid("invalid escape \\ sequence");
    const char c = rest_[0];
    auto skip = [&](std::string_view text, Atom atom) {
      rest_.remove_prefix(1);
      Emit(text, atom);
      return absl::OkStatus();
    };
    switch (c) {
      case 'd':
        return skip("[0-9]", Atom::kCharacter);
      case 'D':
        return skip("[^0-9]", Atom::kCharacter);
      case 'w':
        return skip(absl::StrCat("[", kWord, "]"), Atom::kCharacter);
      case 'W':
        return skip(absl::StrCat("[^", kWord, "]"), Atom::kCharacter);
      case 's':
        return skip(absl::StrCat("[", kSpace, "]"), Atom::kCharacter);
      case 'S':
        return skip(absl::StrCat("[^", kSpace, "]"), Atom::kCharacter);
      case 'A':
        return skip("\\A", Atom::kNone);
      case 'Z':
        return skip("\\z", Atom::kNone);
      case 'y':
        return skip("\\b", Atom::kNone);
      case 'Y':
        return skip("\\B", Atom::kNone);
      case 'm':
      case 'M':
        return Unsupported(absl::StrCat("\\", std::string(1, c), " (write \\y, a word's beginning or end)"));
      default:
        break;
    }
    if (c >= '1' && c <= '9') return Unsupported("a back reference");
    TM_ASSIGN_OR_RETURN(char32_t code, CharacterEscape());
    Emit(absl::StrFormat("\\x{%x}", static_cast<uint32_t>(code)), Atom::kCharacter);
    return absl::OkStatus();
  }

  // What stands behind a backslash for one character: \n, \u00e9, \\, \..
  absl::StatusOr<char32_t> CharacterEscape() {
    const char c = Next();
    static constexpr std::pair<char, char> kOnes[] = {{'a', '\a'}, {'b', '\b'}, {'B', '\\'}, {'e', '\033'}, {'f', '\f'},
                                                      {'n', '\n'}, {'r', '\r'}, {'t', '\t'}, {'v', '\v'}};
    for (const auto& [letter, character] : kOnes) {
      if (c == letter) return static_cast<char32_t>(character);
    }
    if (c == 'u') return Hex(4, 4);
    if (c == 'U') return Hex(8, 8);
    if (c == 'x') return Hex(1, 8);
    if (c == 'c' || absl::ascii_isdigit(c)) return Unsupported(absl::StrCat("\\", std::string(1, c)));
    if (absl::ascii_isalnum(c)) return Invalid("invalid escape \\ sequence");
    return CodePoint(Character(c));
  }

  absl::StatusOr<char32_t> Hex(size_t least, size_t most) {
    uint64_t value = 0;
    size_t digits = 0;
    for (; digits < most && !rest_.empty() && absl::ascii_isxdigit(rest_[0]); ++digits) {
      const char c = absl::ascii_tolower(Next());
      value = value * 16 + static_cast<uint64_t>(absl::ascii_isdigit(c) ? c - '0' : c - 'a' + 10);
    }
    const bool surrogate = value >= 0xD800 && value < 0xE000;
    if (digits < least || value == 0 || value > 0x10FFFF || surrogate) return Invalid("invalid escape \\ sequence");
    return static_cast<char32_t>(value);
  }

  absl::Status Bracket() {
    const bool negated = Skip("^");
    std::string inside;
    bool first = true;
    while (true) {
      if (rest_.empty()) return Invalid("brackets [] not balanced");
      if (!first && Skip("]")) break;
      first = false;
      TM_RETURN_IF_ERROR(BracketItem(&inside));
    }
    if (negated && out_.flags.newline) inside += "\\n";
    Emit(absl::StrCat(negated ? "[^" : "[", inside, "]"), Atom::kCharacter);
    return absl::OkStatus();
  }

  absl::Status BracketItem(std::string* inside) {
    if (Skip("[:")) return Class(inside);
    if (rest_.starts_with("[=") || rest_.starts_with("[.")) return Unsupported("a collating element, [= or [.,");
    if (rest_.size() > 1 && rest_[0] == '\\') {
      const char c = rest_[1];
      const char* of_class = c == 'd' ? "0-9" : c == 'w' ? kWord : c == 's' ? kSpace : c == 'D' ? "\\D" : nullptr;
      if (of_class != nullptr) {
        rest_.remove_prefix(2);
        inside->append(of_class);
        return absl::OkStatus();
      }
      if (c == 'W' || c == 'S') return Unsupported(absl::StrCat("\\", std::string(1, c), " between brackets"));
    }
    TM_ASSIGN_OR_RETURN(char32_t from, BracketCharacter());
    absl::StrAppendFormat(inside, "\\x{%x}", static_cast<uint32_t>(from));
    if (rest_.size() > 1 && rest_[0] == '-' && rest_[1] != ']') {
      rest_.remove_prefix(1);
      if (rest_.starts_with("[:")) return Invalid("invalid character range");
      TM_ASSIGN_OR_RETURN(char32_t to, BracketCharacter());
      if (to < from) return Invalid("invalid character range");
      absl::StrAppendFormat(inside, "-\\x{%x}", static_cast<uint32_t>(to));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<char32_t> BracketCharacter() {
    if (rest_.empty()) return Invalid("brackets [] not balanced");
    const char c = Next();
    if (c != '\\') return CodePoint(Character(c));
    if (rest_.empty()) return Invalid("brackets [] not balanced");
    return CharacterEscape();
  }

  absl::Status Class(std::string* inside) {
    const size_t end = rest_.find(":]");
    if (end == std::string_view::npos) return Invalid("brackets [] not balanced");
    std::string_view name = rest_.substr(0, end);
    if (name == "<" || name == ">") return Unsupported("[[:<:]] or [[:>:]] (write \\y, a word's beginning or end)");
    rest_.remove_prefix(end + 2);
    // Without case either is any letter.
    if (out_.flags.ignore_case && (name == "upper" || name == "lower")) name = "alpha";
    for (const NamedClass& entry : kClasses) {
      if (entry.name != name) continue;
      inside->append(entry.inside);
      return absl::OkStatus();
    }
    return Invalid("invalid character class");
  }

  std::string_view rest_;
  TranslatedRegex out_;
  std::string open_;  // a ( for each that is open
  Atom atom_ = Atom::kNone;
};

}  // namespace

absl::StatusOr<TranslatedRegex> TranslateRegex(std::string_view pattern, Regex::Flags flags) {
  return Translator(pattern, flags).Run();
}

absl::StatusOr<Regex::Flags> Regex::ParseFlags(std::string_view letters) {
  Flags flags;
  for (const char letter : letters) {
    switch (letter) {
      case 'i':
        flags.ignore_case = true;
        break;
      case 'c':
        flags.ignore_case = false;
        break;
      case 'n':
      case 'm':
        flags.newline = true;
        break;
      case 's':
        flags.newline = false;
        break;
      case 'g':
        flags.global = true;
        break;
      case 't':  // tight syntax, which is all there is
        break;
      default: {
        static constexpr std::string_view kOthers = "bepqwx";
        return absl::InvalidArgumentError(absl::StrCat(kOthers.find(letter) == std::string_view::npos
                                                           ? "invalid regular expression option: \""
                                                           : "unsupported regular expression option: \"",
                                                       std::string(1, letter), "\"; there are c, g, i, m, n, s, t"));
      }
    }
  }
  return flags;
}

}  // namespace tidemark::internal
