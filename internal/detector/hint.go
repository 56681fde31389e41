// SPDX-License-Identifier: Apache-2.0

package detector

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// Hint is what a text's key says of the text: the classes that are to be expected there, and whether it is something else that
// looks alike. It is a set of bits, safe to copy and to keep; the zero Hint says nothing.
type Hint uint64

// The bits of the classes, in the order of Classes.
const (
	hintEmail Hint = 1 << iota
	hintPhone
	hintCard
	hintIBAN
	hintNationalID
	hintIP
	hintMAC
	hintSecret
	hintPassword
	hintCoordinates
	hintBirth
	hintWallet

	// What is innocent of looking like personal data.
	hintIdentifier // an ID, a reference, a hash: order_id, trace_id, sku
	hintNumber     // a price, an amount, a quantity, a measure
	hintTime       // a time stamp, a duration, a date that is not of birth
	hintVersion    // of software, or a user agent

	// What a word says together with the one after it only.
	hintPerson  // national, tax, identity…: makes an ID a national one
	hintNeutral // number, no, code…: says what the word before it says
	hintID      // id, ref, uuid…: makes an identifier of what stands before it
	hintAuth    // api, access, private…: makes a key a secret
	hintCounted // number, no: of those that are neutral
	hintCode    // code: of those that are neutral
	hintMine    // my, your…: makes a number one to call
	hintOwner   // customer, member…: makes a number one of theirs, which is none to call
	hintProduct // Windows, Android…: what stands directly after it is a version

	// Where a word says it.
	hintInKeys // "at" ends the name of a time, and stands before a phone number in a text
	hintInText // "call" stands before a number, and a key of that name has anything

	hintClasses  = hintIdentifier - 1
	hintInnocent = hintIdentifier | hintNumber | hintTime | hintVersion
	hintMeaning  = hintClasses | hintInnocent
)

// customShift is the place of the first bit of the custom detectors' keywords. One detector has one bit.
const (
	customShift = 32
	maxKeyed    = 64 - customShift
)

// Has says whether the key makes class to be expected.
func (h Hint) Has(class Class) bool {
	for i, c := range Classes {
		if c == class {
			return h>>i&1 == 1
		}
	}
	return false
}

// Innocent says whether the key is that of an identifier, a number, a time or a version.
func (h Hint) Innocent() bool { return h&hintInnocent != 0 }

// maxKey bounds how much of a key is read. Keys are short; a key of a megabyte must cost no more than others.
const maxKey = 256

// HintOf reads a key, in snake_case, kebab-case, camelCase, with dots or blanks. Callers keep what it answers by key: it costs
// some hundred nanoseconds.
//
// The last words of a key say what the text is, those before them whose it is: "card_id" is an ID, "order_phone" a phone number.
func HintOf(key string) Hint {
	if len(key) > maxKey {
		key = key[len(key)-maxKey:]
	}
	var words [16]Hint
	n := 0
	var buf [maxWord]byte
	for i := 0; i < len(key); {
		var word []byte
		word, i = nextWord(key, i, &buf)
		if len(word) == 0 {
			continue
		}
		if n == len(words) {
			copy(words[:], words[1:])
			n--
		}
		words[n] = wordHint(word, hintInKeys)
		n++
	}
	return keyHint(words[:n])
}

// keyHint makes one hint of the hints of a key's words.
func keyHint(words []Hint) Hint {
	n := len(words)
	for _, w := range words {
		if w&hintPerson != 0 && words[n-1]&hintNeutral != 0 {
			return hintNationalID // tax_number, social_security_number
		}
	}
	for n > 0 && words[n-1]&hintNeutral != 0 && words[n-1]&hintMeaning == 0 {
		n-- // phone_number, card_no, ip_address: what stands before
	}
	if n == 0 {
		return 0
	}
	last := words[n-1]
	if last&hintID != 0 {
		for _, w := range words[:n-1] {
			if w&(hintPerson|hintNationalID) != 0 {
				return hintNationalID // tax_id, national_identity_id
			}
			if w&(hintAuth|hintSecret) != 0 {
				return hintSecret // api_key
			}
		}
		return hintIdentifier
	}
	if last&hintInnocent != 0 && last&hintClasses == 0 {
		// birth_date: a date that is said to be of birth.
		if n > 1 && last&hintTime != 0 && words[n-2]&hintBirth != 0 {
			return hintBirth
		}
		// "phone_verified_at" is a time.
		return last & hintInnocent
	}
	var classes, innocent Hint
	for _, w := range words[:n] {
		classes |= w & hintClasses
		innocent |= w & hintInnocent
	}
	if last&hintID == 0 && classes != 0 {
		return classes
	}
	return innocent
}

// nextWord reads the word of key at i into buf, in lower case, and returns it, empty where none begins there, and where to go on. Digits
// end a word: "phone2", "ipv4".
func nextWord(key string, i int, buf *[maxWord]byte) (word []byte, next int) {
	word = buf[:0]
	var before rune
	for i < len(key) {
		r, size := utf8.DecodeRuneInString(key[i:])
		if r == utf8.RuneError && size == 1 || !unicode.IsLetter(r) && !unicode.IsMark(r) {
			return word, i + size
		}
		if unicode.IsUpper(r) && before != 0 {
			// userIp, and IPAddress: the last capital of a run begins the next word.
			after, _ := utf8.DecodeRuneInString(key[i+size:])
			if unicode.IsLower(before) || unicode.IsUpper(before) && unicode.IsLower(after) {
				return word, i
			}
		}
		before = r
		i += size
		if len(word)+utf8.UTFMax <= len(buf) {
			word = utf8.AppendRune(word, unicode.ToLower(r))
		}
	}
	return word, i
}

// maxWord is the longest word that wordHint is asked of, in bytes. What is longer is cut.
const maxWord = 40

// wordHint is what one word says, in lower case, where is hintInKeys or hintInText.
func wordHint(word []byte, where Hint) Hint {
	if h, ok := hintWords[string(word)]; ok {
		return said(h, where)
	}
	// Words run together: "phonenumber", "ipaddress", "orderid".
	for _, tail := range [...]string{"number", "address", "nummer", "adresse", "no", "nr"} {
		if n := len(word) - len(tail); n > 1 && string(word[n:]) == tail {
			h, known := hintWords[string(word[:n])]
			if h = said(h, where); h&hintMeaning != 0 {
				return h
			}
			if h := stemHint(word[:n], where); h&hintMeaning != 0 {
				return h
			}
			if !known && n > 3 && len(tail) == len("nummer") {
				return hintIdentifier // "Vertragsnummer": whatever it is of has numbers of its own
			}
		}
	}
	if h := stemHint(word, where); h != 0 {
		return h
	}
	if n := len(word) - 2; n > 1 && word[n] == 'i' && word[n+1] == 'd' {
		if h := said(hintWords[string(word[:n])], where); h&(hintPerson|hintNationalID) != 0 {
			return hintNationalID
		} else if h&hintMeaning != 0 {
			return hintIdentifier
		}
	}
	if len(word) > 3 && word[len(word)-1] >= utf8.RuneSelf && word[len(word)-3] >= 0xE0 {
		return runHint(word, where)
	}
	if rest, ok := bytes.CutPrefix(word, []byte("ال")); ok && len(rest) > 3 { // Arabic writes its article with the word
		return said(hintWords[string(rest)], where)
	}
	return 0
}

// Bounds of stems, in bytes, and of what may follow one.
const (
	minStem   = 5
	maxStem   = 16
	maxEnding = 8
)

// stemHint is what a word says that begins with a stem of hintStems: languages that decline and compound have more words than a list.
func stemHint(word []byte, where Hint) Hint {
	if len(word) < minStem || stemFilter[word[0]&31][word[1]&31]>>(word[2]&31)&1 == 0 {
		return 0
	}
	for n := min(len(word), maxStem); n >= max(minStem, len(word)-maxEnding); n-- {
		if h, ok := hintStems[string(word[:n])]; ok {
			return said(h, where)
		}
	}
	return 0
}

// said is what a word of hints h says in a place: nothing, where it says it elsewhere only.
func said(h, where Hint) Hint {
	if at := h & (hintInKeys | hintInText); at != 0 && at&where == 0 {
		return 0
	}
	return h
}

// runHint looks for known words at the end of a run of letters of a script that is written without blanks: the longest one there.
func runHint(run []byte, where Hint) Hint {
	end := len(run)
	for range 6 { // characters that may stand between the word and what it is of: "は", "是"
		start, from := end, end
		var found Hint
		for range 10 {
			_, size := utf8.DecodeLastRune(run[:start])
			if size == 0 {
				break
			}
			start -= size
			if h, ok := hintWords[string(run[start:end])]; ok && end-start > 3 {
				found, from = said(h, where), start
			}
		}
		if from < end {
			if found&hintCounted != 0 && found&hintMeaning == 0 && from > 0 {
				// "契約番号": whatever it is of has numbers of its own. After "の" and "的" it is somebody's.
				if before := run[:from]; !bytes.HasSuffix(before, []byte("の")) && !bytes.HasSuffix(before, []byte("的")) {
					return hintIdentifier
				}
			}
			return found
		}
		_, size := utf8.DecodeLastRune(run[:end])
		if size == 0 {
			break
		}
		end -= size
	}
	return 0
}
