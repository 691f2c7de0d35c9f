// Whether state that was kept in one way is, byte for byte, state as it is kept now, so that a step goes on with it as
// it lies: the identities of a step differ in types alone, and each type of before is held whole by that of now; or
// hopping windows, which kept groups each for itself, have come to share panes (operators/window/panes.h), or top and
// alert, which kept all in memory, have come to lay it where memory is short (operators/top, operators/alert). A pure
// function over identities (step_identity.h); what it lets through is said by the formats of state that it leans on:
//
//   - keys (src/codec/key_encoder.h): integers have eight bytes whatever their width, decimals sixteen whatever their
//     precision, and a byte in front of each cell says NULL in all of them;
//   - sums and averages (operators/window/sums.h) add up 192 bits whatever the integer was, and a decimal is sixteen
//     bytes in every aggregate. Smallest and largest integers have their own width: those aren't widened;
//   - dedup remembers an integer column that is never NULL as 64 bits, any other key as a hash of the above;
//   - rows that are kept whole (src/codec/row_codec.h; top, dedup keep last, alert, over, joins of two), and what they
//     are found and ordered by, are a byte in front of each cell that says NULL, and sixteen for a decimal. Their
//     integers have their own width: those aren't widened.
//
// Nothing else is widened: neither batches nor changing tables are, which nobody has looked into. The way back is no
// widening, so a former topology is refused behind it.
#pragma once

#include <string_view>

#include "proto/packed.pb.h"

namespace tidemark {

// Fingerprints and columns only; kind of rows, meeting and origins are the same.
bool IsWidened(const packed::StepIdentity& was, const packed::StepIdentity& is);
// Of fingerprints that differ: whether a former version left what lies otherwise now, and nothing else differs.
bool LiesInANewWay(std::string_view was, std::string_view is);

}  // namespace tidemark
