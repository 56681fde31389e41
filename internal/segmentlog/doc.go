// SPDX-License-Identifier: Apache-2.0

// Package segmentlog is the append-only store under the event log: entries in segments, one sync for all that are appended at
// the same time, positions by partition, removal of the oldest segments.
//
// # Files
//
// The directory is the log's own. Subdirectories and names that begin with a dot are left alone.
//
//	lock                       held while a log is open
//	manifest                   incarnation, partitions, how far retention came; two copies, replaced in place
//	mark                       how far the log is acknowledged; two slots, written in turns
//	reserve                    space for the ID files of one segment
//	0000000000000007.segment   entries of all partitions, in one sequence
//	0000000000000007.ids.0/.1  IDs and sources of that segment, twice, when it is full
//
// A segment is allocated as a whole under another name, synced, and then named: a full disk shows there, and a segment's header
// is always whole. It tells the sums at which it begins (positions, ordinal of IDs, sequence number, checksum of the entry
// before, end of the segment before), so that opening needs no look into full segments. format.go has the bytes.
//
// # Appending
//
// Append compresses and checksums in the caller's goroutine and queues the entry. One writer takes all that is queued, gives
// positions, writes, syncs, writes the mark, shows the group to readers, and tells the callers. So a group begins only when all
// before it is synced, and an entry says where its group began: each entry vouches for all before its group.
//
// # What is found at opening
//
// Let "acknowledged" be what Append returned nil for. All of it survives kill -9 and loss of power, given that a sync reaches the
// disk and that a sector (512 bytes or more) is written as a whole or not at all.
//
// After kill -9, the mark is exact, since it is written before anybody is told. Up to the mark every byte must be right: one that
// is flipped or missing, in the last entry too, is a CorruptError, and nothing is changed. After the mark lies at most one group
// which nobody was told of.
//
// After a loss of power, the mark is what the disk has of it: synced each second, so usually a second old, and never ahead of
// the data. What lies behind it is read until an entry is not right. If a later one is right, and its group began behind the damage, then
// the damage is to acknowledged data, and is a CorruptError. So what cannot be told from a torn end is damage to the very last
// synced group, and that only if it was written within the mark's last second and the power was lost as well.
//
// Whole entries behind the mark are kept, since after a loss of power they may be acknowledged. If they are not, their sender sees an error, sends
// again, and finds their IDs in the log. They are written and synced once more before they are shown: a sync that failed before the
// crash may have left them in memory only, in pages which the kernel takes for clean. What follows them is overwritten by zeros. An entry's
// header is checksummed together with the incarnation, the segment's number and its offset, and with the header of the entry
// before: a stale block is no entry.
//
// Opening reads all of the segment that holds the last acknowledged entry, and of the other segments header and length. Damage in
// those is found when they are read (Scan and Read check everything that they use) or by Verify.
//
// A mark that is missing or damaged in both slots is a MarkError, because the above rests on it; Options.AcceptLostMark opens without. A
// missing segment, or one of another log, is an error even if it is the first or the last one: manifest and mark name them.
//
// # Failures
//
// A failed write or sync ends all appending until the log is opened anew (FailedError). The group that failed is cut off if the
// file system still lets that happen. If not, it is behind the mark, and may come back whole. A write that fails for want of space, which
// allocated files should not know, is ErrFull: nothing was synced, and the place is written over.
//
// ErrFull otherwise comes where a segment would begin: no space, MaxBytes, MinFreeBytes, or a reserve that was used up. The reserve is
// what makes a full disk recoverable: before a segment can be removed its IDs must stand in files of their own, which take space. Manifest
// and mark are replaced in place and take none.
//
// # IDs
//
// IDs and sources stand at the front of their entry, uncompressed, and once more in the two ID files, each written, synced and
// read back. IDs reads an ID file, since that is all in one piece; if it is damaged the other, or the segment if that is there, and writes the
// damaged one anew. Both are checked, and mended from the segment, immediately before retention removes it.
//
// # Cost
//
// Measured on 2 cores of a Xeon with 1,000 events of 728 bytes an entry, as the load generator makes them:
//
//	            compress     decompress   size
//	S2          0.5-0.65 µs  0.24-0.3 µs  171 bytes an event
//	zstd        1.7-3.0 µs   0.5-0.9 µs   115
//	LZ4         1.5 µs       0.12 µs      181 (pierrec/lz4, not built in)
//	snappy      0.47 µs                   179 (not built in)
//
// S2 is the default: a third of LZ4's price for less space, while zstd costs more than all else that the log does and saves a third of the disk. An
// append costs 0.85 µs of CPU an event with S2, all of the kernel's work included; of that compression is two thirds and the checksums 4%. Entries of
// one event cost 7 µs each with 64 senders. From 8 senders on the disk took 740,000 to 970,000 events a second, one sync a group.
// Reading costs 0.29 µs an event. Opening 1 GB takes 45 ms, the walk over 10 million IDs 50 ms.
package segmentlog
