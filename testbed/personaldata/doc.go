// SPDX-License-Identifier: Apache-2.0

// Package personaldata holds texts in which every piece of personal data is labelled, and holds detectors against them.
//
// There are four corpora. Three are labelled: "templates" are sentences of ours in twelve languages with values that are made to be
// valid; "faker" is what Python's Faker makes up in four dozen locales; "libphonenumber" are its example numbers of all regions in
// sentences. The fourth, "code", is what lies on every machine that builds this: Go's sources and the modules' documents, in which
// everything that is found is wrong unless an independent judge says that it is right.
//
// # What the labels say
//
// A label is a span of bytes with a class and a form. The rules are of what a reader can know, and were written down before the detectors
// were run, but for three things that were settled after the first run: card numbers of 12 and 13 digits and JCB's old ranges, which Faker draws and
// no network gives out today, became open; the judge of the corpus "code" was taught some kinds of versions and headings; and an address of the
// templates that was none (fe80 with three colons) was mended. The rules:
//
//   - What a value's own form or check digits tell is labelled wherever it stands: e-mail addresses, IP addresses, payment cards, IBANs,
//     wallets, MAC addresses, tokens, passwords of URLs, phone numbers that begin with '+'.
//   - What only its surroundings tell is labelled where they do: a national phone number, a national ID, a date of birth and a bare
//     pair of coordinates are labelled if a word of the sentence's language beside it, or the text's key, says what it is.
//   - Without such a word they are labelled as open: to find them is no fault, not to find them is none either. They are counted
//     by themselves. The same holds for addresses that belong to nobody (loopback, unspecified, netmasks), for what is written in percent
//     encoding, for values of Faker's that national rules refuse (as libphonenumber and python-stdnum have them), and for card numbers that no
//     network has given out for decades: of 12 and 13 digits, which look like European article numbers, and JCB's outside of 3528 to 3589.
//
// A label is found if a finding of its class overlaps it, and found exactly if the bounds are equal. A finding is right if it overlaps
// a label of its class, and wrong otherwise: another class at the right place is wrong.
package personaldata
