#include "bench/nexmark/events.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace tidemark::bench {
namespace {

constexpr int64_t kStartMs = 1'767'225'600'000;  // 2026-01-01T00:00:00Z
// Of 50 events in a row the first is a person, the next three are auctions.
constexpr int64_t kPeople = 1, kAuctions = 3, kEpoch = 50;
constexpr int64_t kFirstPerson = 1'000, kFirstAuction = 1'000, kFirstCategory = 10;
constexpr int64_t kCategories = 5;
constexpr int64_t kActivePeople = 1'000, kOpenAuctions = 100;
constexpr int64_t kLead = 10;  // ids that don't exist yet may be named already
// One in so many is not about a hot auction, by a hot bidder, of a hot seller; and the hot one changes with every
// hundredth.
constexpr int64_t kHotAuctions = 2, kHotBidders = 4, kHotSellers = 4, kHotBatch = 100;
constexpr size_t kPersonBytes = 200, kAuctionBytes = 500, kBidBytes = 100;

constexpr std::array kFirstNames = {"Ada",   "Boris", "Clara", "Dmitri", "Elsa", "Felix",
                                    "Greta", "Hugo",  "Ines",  "Jonas",  "Kira"};
constexpr std::array kLastNames = {"Adler",   "Brandt", "Conti",  "Dupont", "Eriksen",
                                   "Fischer", "Garcia", "Horvat", "Ivanov"};
constexpr std::array kStates = {"AZ", "CA", "ID", "OR", "WA", "WY"};
constexpr std::array kCities = {"Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland",
                                "Bend",    "Redmond",     "Seattle",       "Kent",  "Cheyenne"};
constexpr std::array kChannels = {"Google", "Facebook", "Baidu", "Apple"};
constexpr int64_t kOtherChannels = 10'000;

template <typename Names>
const char* Pick(const Names& names, SplitMix64& random) {
  return names[static_cast<size_t>(random.Below(static_cast<int64_t>(names.size())))];
}

}  // namespace

const std::string& NexmarkEvents::Next() {
  ++number_;
  time_ms_ = kStartMs + static_cast<int64_t>(static_cast<double>(number_) * 1000 / events_per_second_);
  json_.clear();
  const int64_t place = number_ % kEpoch;
  if (place < kPeople) {
    Person();
  } else if (place < kPeople + kAuctions) {
    Auction();
  } else {
    Bid();
  }
  json_ += "}}";
  return json_;
}

// The newest person and auction at this event, counted from 0; -1 if there is none yet.
int64_t NexmarkEvents::LastPerson() const {
  return number_ / kEpoch * kPeople + std::min(number_ % kEpoch, kPeople - 1);
}

int64_t NexmarkEvents::LastAuction() const {
  const int64_t opened = std::clamp<int64_t>(number_ % kEpoch - kPeople + 1, 0, kAuctions);
  return number_ / kEpoch * kAuctions + opened - 1;
}

int64_t NexmarkEvents::AnyPerson() {
  const int64_t people = LastPerson() + 1, active = std::min(people, kActivePeople);
  return people - active + random_.Below(active + kLead);
}

int64_t NexmarkEvents::AnyAuction() {
  const int64_t last = LastAuction(), first = std::max<int64_t>(last - kOpenAuctions, 0);
  return first + random_.Below(last - first + 1 + kLead);
}

int64_t NexmarkEvents::Price() { return std::llround(std::pow(10.0, random_.Unit() * 6) * 100); }

void NexmarkEvents::Number(const char* before, int64_t number) {
  char digits[24];
  json_ += before;
  json_.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

// Letters and now and then a blank.
void NexmarkEvents::Text(size_t min, size_t max) {
  const size_t length = min + static_cast<size_t>(random_.Below(static_cast<int64_t>(max - min + 1)));
  for (size_t i = 0; i < length; ++i) {
    const uint64_t drawn = random_.Next();
    json_ += drawn % 13 == 0 && i > 0 ? ' ' : static_cast<char>('a' + (drawn >> 32) % 26);
  }
}

// Fills the event up to the size the specification wants on average, give or take a fifth.
void NexmarkEvents::Extra(size_t before, size_t wanted) {
  json_ += R"(,"extra":")";
  if (before < wanted) {
    const size_t missing = wanted - before, delta = missing / 5;
    Text(missing - delta, missing + delta);
  }
  json_ += '"';
}

void NexmarkEvents::Person() {
  Number(R"({"event_type":0,"person":{"id":)", kFirstPerson + LastPerson());
  json_ += R"(,"name":")";
  json_ += Pick(kFirstNames, random_);
  json_ += ' ';
  json_ += Pick(kLastNames, random_);
  json_ += R"(","emailAddress":")";
  Text(7, 7);
  json_ += '@';
  Text(5, 5);
  json_ += R"(.com","creditCard":")";
  for (int i = 0; i < 4; ++i) Number(i == 0 ? "" : " ", 1'000 + random_.Below(9'000));
  json_ += R"(","city":")";
  json_ += Pick(kCities, random_);
  json_ += R"(","state":")";
  json_ += Pick(kStates, random_);
  Number(R"(","dateTime":)", time_ms_);
  Extra(80, kPersonBytes);
}

void NexmarkEvents::Auction() {
  const int64_t price = Price();
  Number(R"({"event_type":1,"auction":{"id":)", kFirstAuction + LastAuction());
  json_ += R"(,"itemName":")";
  Text(3, 20);
  json_ += R"(","description":")";
  Text(3, 100);
  Number(R"(","initialBid":)", price);
  Number(R"(,"reserve":)", price + Price());
  Number(R"(,"dateTime":)", time_ms_);
  // As long as the auctions take on average that are open at a time.
  const double horizon_ms = static_cast<double>(kOpenAuctions * kEpoch / kAuctions) * 1000 / events_per_second_;
  Number(R"(,"expires":)", time_ms_ + 1 + random_.Below(std::max<int64_t>(static_cast<int64_t>(horizon_ms * 2), 1)));
  const bool hot = random_.Below(kHotSellers) > 0;
  Number(R"(,"seller":)", kFirstPerson + (hot ? LastPerson() / kHotBatch * kHotBatch : AnyPerson()));
  Number(R"(,"category":)", kFirstCategory + random_.Below(kCategories));
  Extra(110, kAuctionBytes);
}

void NexmarkEvents::Bid() {
  const bool hot_auction = random_.Below(kHotAuctions) > 0;
  Number(R"({"event_type":2,"bid":{"auction":)",
         kFirstAuction + (hot_auction ? LastAuction() / kHotBatch * kHotBatch : AnyAuction()));
  // The second of a batch, so that hot bidders aren't the hot sellers.
  const bool hot_bidder = random_.Below(kHotBidders) > 0;
  Number(R"(,"bidder":)", kFirstPerson + (hot_bidder ? LastPerson() / kHotBatch * kHotBatch + 1 : AnyPerson()));
  Number(R"(,"price":)", Price());
  json_ += R"(,"channel":")";
  if (random_.Below(2) == 0) {
    json_ += Pick(kChannels, random_);
    json_ += R"(","url":"https://auctions.example/)";
    Text(5, 5);
    json_ += "/item.htm?query=1\"";
  } else {
    const int64_t channel = random_.Below(kOtherChannels);
    Number("channel-", channel);
    Number(R"(","url":"https://auctions.example/item.htm?query=1&channel_id=)", channel);
    json_ += '"';
  }
  Number(R"(,"dateTime":)", time_ms_);
  Extra(32, kBidBytes);
}

}  // namespace tidemark::bench
