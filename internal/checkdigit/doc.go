// SPDX-License-Identifier: Apache-2.0

// Package checkdigit says whether a value can be a payment card, an IBAN, a national ID, a crypto wallet or a phone number:
// by its length and form, its check digits, its date parts and the areas that its issuer gives out.
//
// Everything in it is a pure function of its argument, takes any bytes, allocates nothing and may be called from anywhere at
// once. A verdict of true says that the value can be one, not that it is: one check digit lets one random value in ten
// pass. NationalID.Share says how many do, rule by rule.
package checkdigit
