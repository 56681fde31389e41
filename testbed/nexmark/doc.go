// SPDX-License-Identifier: Apache-2.0

// Package nexmark generates the events of the Nexmark benchmark, an online auction: persons who register, auctions that
// they open, and bids. The queries that are asked of them are in configs/nexmark.
//
// The benchmark is by Tucker, Tufte, Papadimos and Maier ("NEXMark – A Benchmark for Queries over Data Streams", 2010 draft).
// Proportions and distributions are those that its implementations for Apache Beam and Flink publish (Beam's documentation of
// its Nexmark suite, and github.com/nexmark/nexmark), written here anew:
//
//   - Of 50 events, one is a person, three are auctions and 46 are bids, in that order.
//   - Event n happens at Start + n/Rate, in whole milliseconds. Out of order, each group of OutOfOrderGroup events keeps its
//     times and permutes them: the k-th of a group takes the time of the (953·k mod size)-th.
//   - A bid is for the hot auction, the first of the last hundred, with probability 1-1/HotAuctionRatio, else for one of the
//     InFlightAuctions youngest or the ten that come next. Its bidder is the hot one, the second of the last hundred persons, with
//     1-1/HotBidderRatio, else one of the ActivePeople youngest or the ten that come next.
//     An auction's seller is chosen likewise: the first of the last hundred persons.
//   - Prices are 100·10^(6u), u even in [0, 1). Reserve is the initial bid and another price. An auction lasts, on average, as
//     long as InFlightAuctions take to appear.
//   - Half of the bids come through one of four channels, the others through one of 10,000.
//   - Texts fill a person up to about 200 bytes, an auction to 500, a bid to 100, in the published reckoning.
//
// What differs: random numbers are other ones, so results can be compared with an oracle but not with another
// implementation's; event content is a function of seed and number alone; the lists of names, cities and channels are ours.
//
// Beyond what is published, events may come again (Duplicates), late (Late) and with a clock that is ahead (Future). The same
// configuration yields the same bytes in the same order.
//
// # As log records
//
// EventName is `person`, `auction` or `bid`. log.record.uid is unique for each seed and number. user.id is the bidder, the
// seller or the person, as text: event_log partitions by it, so that the bids of a bidder are in one partition, while those of an
// auction are in all. The other attributes are the published fields in snake case, numbers as int64; `expires` is in Unix milliseconds.
package nexmark
