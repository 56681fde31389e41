// SPDX-License-Identifier: Apache-2.0

package checkdigit

// plan is what is known of the national numbers of a calling code: bit n of lengths for n digits, bit d of leads for those that begin with d.
type plan struct{ lengths, leads uint16 }

const (
	l4 = 1 << (iota + 4)
	l5
	l6
	l7
	l8
	l9
	l10
	l11
	l12
	l13
)

const (
	d0 = 1 << iota
	d1
	d2
	d3
	d4
	d5
	d6
	d7
	d8
	d9
	d2to9 = d2 | d3 | d4 | d5 | d6 | d7 | d8 | d9
	d1to9 = d1 | d2to9
	d0to9 = d0 | d1to9
)

// plans are by country calling code. The codes are those of ITU-T's list of E.164 assigned codes; lengths and leading digits are what the national
// numbering plans say that ITU publishes (Operational Bulletin, E.129), rounded up: a length is there if geographic or mobile numbers have it.
var plans = [1000]plan{
	1: {l10, d2to9}, 7: {l10, d3 | d4 | d6 | d7 | d8 | d9},
	20: {l8 | l9 | l10, d1to9}, 27: {l9, d1to9},
	30: {l10, d2 | d5 | d6 | d7 | d8 | d9}, 31: {l9, d1to9}, 32: {l8 | l9, d1to9}, 33: {l9, d1to9}, 34: {l9, d5 | d6 | d7 | d8 | d9},
	36: {l8 | l9, d1to9}, 39: {l6 | l7 | l8 | l9 | l10 | l11, d0 | d3 | d4 | d8}, 40: {l9, d2 | d3 | d7 | d8 | d9}, 41: {l9, d2to9},
	43: {l7 | l8 | l9 | l10 | l11 | l12 | l13, d1to9}, 44: {l9 | l10, d1 | d2 | d3 | d5 | d7 | d8 | d9}, 45: {l8, d2to9}, 46: {l7 | l8 | l9 | l10, d1to9},
	47: {l8, d2to9}, 48: {l9, d1to9}, 49: {l7 | l8 | l9 | l10 | l11, d1to9},
	51: {l8 | l9, d1 | d4 | d5 | d6 | d7 | d8 | d9}, 52: {l10 | l11, d1to9}, 53: {l6 | l7 | l8, d2to9}, 54: {l10 | l11, d1 | d2 | d3 | d6 | d8 | d9}, 55: {l10 | l11, d1to9},
	56: {l9, d2to9}, 57: {l10, d1 | d3 | d6}, 58: {l10, d2 | d4 | d8 | d9},
	60: {l8 | l9 | l10, d1 | d3 | d4 | d5 | d6 | d7 | d8 | d9}, 61: {l9, d2 | d3 | d4 | d5 | d7 | d8}, 62: {l8 | l9 | l10 | l11 | l12, d2to9},
	63: {l8 | l9 | l10, d2to9}, 64: {l8 | l9 | l10, d2 | d3 | d4 | d5 | d6 | d7 | d8 | d9}, 65: {l8, d3 | d6 | d8 | d9}, 66: {l8 | l9, d1to9},
	81: {l9 | l10, d1to9}, 82: {l8 | l9 | l10, d1to9}, 84: {l9 | l10, d1to9}, 86: {l10 | l11, d1to9},
	90: {l10, d2 | d3 | d4 | d5 | d8}, 91: {l10, d1to9}, 92: {l9 | l10, d2to9}, 93: {l9, d2to9}, 94: {l9, d1to9}, 95: {l6 | l7 | l8 | l9 | l10, d1to9}, 98: {l10, d1to9},

	211: {l9, d1 | d9}, 212: {l9, d5 | d6 | d7 | d8}, 213: {l8 | l9, d1to9}, 216: {l8, d2to9}, 218: {l8 | l9, d2to9},
	220: {l7, d2to9}, 221: {l9, d3 | d7 | d8}, 222: {l8, d2to9}, 223: {l8, d2to9}, 224: {l8 | l9, d3 | d6 | d7}, 225: {l10, d0 | d2}, 226: {l8, d0 | d2 | d4 | d5 | d6 | d7},
	227: {l8, d0 | d2 | d7 | d8 | d9}, 228: {l8, d2 | d7 | d9}, 229: {l8 | l10, d0 | d2 | d4 | d5 | d6 | d8 | d9}, 230: {l7 | l8, d2to9}, 231: {l7 | l8 | l9, d2to9}, 232: {l8, d2to9},
	233: {l9, d2 | d3 | d5 | d8}, 234: {l8 | l10, d1to9}, 235: {l8, d2 | d3 | d6 | d7 | d8 | d9}, 236: {l8, d2 | d6 | d7 | d8}, 237: {l9, d2 | d6 | d8}, 238: {l7, d2 | d3 | d4 | d5 | d8 | d9},
	239: {l7, d2 | d9}, 240: {l9, d2 | d3 | d5 | d8 | d9}, 241: {l7 | l8, d0to9}, 242: {l9, d0 | d2 | d8}, 243: {l7 | l8 | l9, d1to9}, 244: {l9, d2 | d9},
	245: {l7 | l9, d4 | d9}, 246: {l7, d3}, 247: {l5 | l6, d1to9}, 248: {l7, d2 | d4 | d6 | d8 | d9}, 249: {l9, d1 | d9}, 250: {l9, d2 | d7}, 251: {l9, d1 | d2 | d3 | d4 | d5 | d7 | d8 | d9},
	252: {l6 | l7 | l8 | l9, d1to9}, 253: {l8, d2 | d7}, 254: {l7 | l8 | l9, d1 | d2 | d4 | d5 | d6 | d7 | d8}, 255: {l9, d2 | d4 | d6 | d7 | d8 | d9}, 256: {l9, d2 | d3 | d4 | d7 | d8 | d9},
	257: {l8, d2 | d3 | d6 | d7}, 258: {l8 | l9, d2 | d8}, 260: {l9, d2 | d5 | d7 | d9}, 261: {l9, d2 | d3}, 262: {l9, d2 | d6 | d8 | d9}, 263: {l6 | l7 | l8 | l9 | l10, d1to9},
	264: {l8 | l9, d6 | d8}, 265: {l7 | l9, d1 | d2 | d3 | d7 | d8 | d9}, 266: {l8, d2 | d5 | d6 | d8}, 267: {l7 | l8, d2 | d3 | d4 | d5 | d6 | d7}, 268: {l8, d2 | d3 | d7}, 269: {l7, d3 | d4 | d7},
	290: {l4 | l5, d2 | d5 | d6 | d8}, 291: {l7, d1 | d7 | d8}, 297: {l7, d2 | d5 | d6 | d7 | d9}, 298: {l6, d2to9}, 299: {l6, d2to9},

	350: {l8, d2 | d5 | d6}, 351: {l9, d2 | d3 | d6 | d7 | d8 | d9}, 352: {l5 | l6 | l7 | l8 | l9 | l10 | l11, d2to9}, 353: {l7 | l8 | l9, d1to9}, 354: {l7 | l9, d3 | d4 | d5 | d6 | d7 | d8 | d9},
	355: {l8 | l9, d2to9}, 356: {l8, d2to9}, 357: {l8, d2to9}, 358: {l6 | l7 | l8 | l9 | l10, d1to9}, 359: {l7 | l8 | l9, d2to9},
	370: {l8, d3 | d4 | d5 | d6 | d7 | d8 | d9}, 371: {l8, d2 | d6 | d7 | d8 | d9}, 372: {l7 | l8, d3 | d4 | d5 | d6 | d7 | d8 | d9}, 373: {l8, d2to9}, 374: {l8, d1to9},
	375: {l9, d1 | d2 | d3 | d4 | d8}, 376: {l6 | l9, d1 | d3 | d4 | d5 | d6 | d7 | d8}, 377: {l8 | l9, d3 | d4 | d6 | d7 | d8 | d9}, 378: {l8 | l10, d0 | d3 | d5 | d6 | d7 | d8}, 379: {},
	380: {l9, d3 | d4 | d5 | d6 | d7 | d8 | d9}, 381: {l7 | l8 | l9 | l10, d1to9}, 382: {l8, d2 | d3 | d4 | d5 | d6 | d7}, 383: {l8 | l9, d2 | d3 | d4 | d8 | d9}, 385: {l8 | l9, d1to9},
	386: {l8, d1to9}, 387: {l8 | l9, d3 | d4 | d5 | d6 | d8 | d9}, 389: {l8, d2to9},
	420: {l9, d2 | d3 | d4 | d5 | d6 | d7 | d8 | d9}, 421: {l9, d2 | d3 | d4 | d5 | d8 | d9 | d6}, 423: {l7 | l9, d2 | d3 | d6 | d7 | d8 | d9},
	500: {l5, d2to9}, 501: {l7, d2to9}, 502: {l8, d2to9}, 503: {l8, d2 | d5 | d6 | d7 | d8}, 504: {l8, d2 | d3 | d7 | d8 | d9}, 505: {l8, d2 | d5 | d6 | d7 | d8}, 506: {l8, d2 | d4 | d5 | d6 | d7 | d8},
	507: {l7 | l8, d1to9}, 508: {l6 | l9, d2to9}, 509: {l8, d2 | d3 | d4 | d5 | d8 | d9}, 590: {l9, d5 | d6 | d7 | d8 | d9}, 591: {l8, d2 | d3 | d4 | d5 | d6 | d7}, 592: {l7, d2 | d3 | d4 | d5 | d6 | d7 | d9},
	593: {l8 | l9, d2 | d3 | d4 | d5 | d6 | d7 | d9}, 594: {l9, d5 | d6 | d7 | d8 | d9}, 595: {l7 | l8 | l9, d2to9}, 596: {l9, d5 | d6 | d7 | d8 | d9}, 597: {l6 | l7, d2to9}, 598: {l8, d2 | d4 | d9}, 599: {l7 | l8, d3 | d4 | d6 | d7 | d9},
	670: {l7 | l8, d2 | d3 | d4 | d7}, 672: {l6, d1 | d3}, 673: {l7, d2 | d3 | d4 | d5 | d6 | d7 | d8}, 674: {l7, d2 | d4 | d5 | d7 | d8 | d9}, 675: {l7 | l8, d2to9}, 676: {l5 | l7, d2to9}, 677: {l5 | l7, d1to9},
	678: {l5 | l7, d2to9}, 679: {l7, d2to9}, 680: {l7, d2to9}, 681: {l6, d4 | d7 | d8 | d9}, 682: {l5, d2to9}, 683: {l4 | l7, d4 | d5 | d6 | d7 | d8}, 685: {l5 | l6 | l7, d2to9}, 686: {l5 | l8, d2to9},
	687: {l6, d2to9}, 688: {l5 | l6 | l7, d2 | d7 | d9}, 689: {l8, d4 | d8}, 690: {l4 | l5 | l6 | l7, d2to9}, 691: {l7, d3 | d8 | d9}, 692: {l7, d2 | d3 | d4 | d5 | d6},
	800: {l8, d1to9}, 808: {l8, d1to9}, 850: {l8 | l10, d1 | d2}, 852: {l8, d2to9}, 853: {l8, d2 | d6 | d8}, 855: {l8 | l9, d1to9}, 856: {l8 | l9 | l10, d2 | d3 | d4 | d5 | d6 | d7 | d8},
	870: {l9, d2 | d3 | d7 | d8}, 880: {l6 | l7 | l8 | l9 | l10, d1to9}, 881: {l9 | l10, d0 | d1 | d6 | d7 | d8 | d9}, 878: {l12, d1}, 882: {l7 | l8 | l9 | l10 | l11 | l12, d1 | d3}, 883: {l9 | l10 | l11 | l12, d1 | d2 | d5}, 886: {l8 | l9, d2to9}, 888: {l11, d1to9}, 979: {l9, d1to9},
	960: {l7, d3 | d4 | d6 | d7 | d9}, 961: {l7 | l8, d1to9}, 962: {l8 | l9, d2to9}, 963: {l8 | l9, d1to9}, 964: {l8 | l9 | l10, d1to9}, 965: {l8, d2 | d4 | d5 | d6 | d9}, 966: {l9, d1 | d5 | d8 | d9},
	967: {l7 | l8 | l9, d1to9}, 968: {l8, d2 | d7 | d8 | d9}, 970: {l8 | l9, d2 | d4 | d5 | d8 | d9}, 971: {l8 | l9, d2to9}, 972: {l8 | l9, d2 | d3 | d4 | d5 | d7 | d8 | d9}, 973: {l8, d1 | d3 | d6 | d7 | d8},
	974: {l8, d3 | d4 | d5 | d6 | d7}, 975: {l7 | l8, d1to9}, 976: {l8 | l9 | l10, d1 | d2 | d5 | d6 | d7 | d8 | d9}, 977: {l8 | l10, d1to9}, 992: {l9, d0to9},
	993: {l8, d1 | d2 | d3 | d4 | d5 | d6 | d7}, 994: {l9, d1 | d2 | d3 | d4 | d5 | d6 | d7 | d9}, 995: {l9, d3 | d4 | d5 | d7 | d8}, 996: {l9, d2 | d3 | d4 | d5 | d6 | d7 | d8 | d9}, 998: {l9, d2 | d3 | d5 | d6 | d7 | d8 | d9},
}
