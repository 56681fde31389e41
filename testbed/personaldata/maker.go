// SPDX-License-Identifier: Apache-2.0

package personaldata

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// maker makes values. The same seed gives the same ones. Used by one goroutine.
type maker struct {
	r        *rand.Rand
	language string
}

func newMaker(seed uint64, language string) *maker {
	return &maker{rand.New(rand.NewPCG(seed, uint64(len(language))<<32|uint64(language[0])<<8|uint64(language[1]))), language}
}

func pick[T any](m *maker, of ...T) T { return of[m.n(len(of))] }

// n is a number from 0 to below-1.
func (m *maker) n(below int) int { return m.r.IntN(below) }

func (m *maker) between(least, most int) int { return least + m.n(most-least+1) }

func (m *maker) int64(from, to int64) int64 { return from + m.r.Int64N(to-from) }

// chance is true once in n.
func (m *maker) chance(n int) bool { return m.n(n) == 0 }

// names are given and family names, as people of a language write them in an address: without accents.
var names = map[string][2]string{
	"en": {"olivia noah emma liam priya grace tyrone", "smith okafor jones oconnor patel walker brown"},
	"de": {"hanna jonas mia felix jürgen anke björn", "mueller schmidt weiss krüger bauer vogel"},
	"fr": {"camille lucas manon hugo amelie jeanluc", "martin bernard lefevre dubois moreau leroy"},
	"es": {"lucia mateo sofia pablo begona iker", "garcia fernandez munoz lopez delgado ortega"},
	"it": {"giulia marco chiara luca fabrizio elena", "rossi ferrari esposito bianchi romano deluca"},
	"pt": {"mariana joao beatriz tiago rafael ines", "silva santos oliveira pereira costa souza"},
	"nl": {"sanne daan lotte bram anouk jeroen", "devries jansen vandenberg bakker visser smit"},
	"pl": {"zofia kacper julia wojciech agnieszka lukasz", "nowak kowalski wisniewska wojcik lewandowski"},
	"tr": {"zeynep mehmet elif mustafa ayse emre", "yilmaz kaya demir celik ozturk arslan"},
	"ja": {"haruto yui sota hina kenji sakura", "sato suzuki takahashi tanaka watanabe ito"},
	"sv": {"alva lucas astrid oskar ingrid lars", "andersson johansson lindqvist berg nilsson"},
	"cs": {"eliska jakub tereza ondrej marketa petr", "novak svoboda dvorak cerny prochazka"},
}

// plainASCII takes the marks off the letters that names has.
var plainASCII = strings.NewReplacer("ü", "ue", "ö", "oe")

func (m *maker) given() string {
	return pick(m, strings.Fields(names[m.language][0])...)
}

func (m *maker) family() string {
	return pick(m, strings.Fields(names[m.language][1])...)
}

// login is a name as accounts have it.
func (m *maker) login() string {
	given, family := plainASCII.Replace(m.given()), plainASCII.Replace(m.family())
	return pick(m, given+"."+family, given, given+family, given[:1]+family, given+"_"+family, family+m.digits(2), given+m.digits(4), given+"-"+family)
}

var domains = map[string]string{
	"en": "gmail.com yahoo.com outlook.com hotmail.co.uk example.org bigpond.com.au mail.example.com",
	"de": "web.de gmx.de t-online.de example.de firma-beispiel.de posteo.net",
	"fr": "orange.fr laposte.net free.fr exemple.fr mairie-exemple.fr",
	"es": "hotmail.es telefonica.net ejemplo.es correo.ejemplo.com.mx",
	"it": "libero.it tiscali.it esempio.it pec.esempio.it",
	"pt": "sapo.pt uol.com.br exemplo.com.br terra.com.br",
	"nl": "ziggo.nl kpnmail.nl voorbeeld.nl xs4all.nl",
	"pl": "wp.pl onet.pl o2.pl przyklad.com.pl",
	"tr": "mynet.com ornek.com.tr turk.net",
	"ja": "docomo.ne.jp ezweb.ne.jp example.co.jp softbank.jp",
	"sv": "telia.com exempel.se spray.se",
	"cs": "seznam.cz centrum.cz priklad.cz",
}

func (m *maker) domain() string { return pick(m, strings.Fields(domains[m.language])...) }

// languages are those of the templates, sorted.
var languages = []string{"cs", "de", "en", "es", "fr", "it", "ja", "nl", "pl", "pt", "sv", "tr"}

// make returns a value of a kind that a template names.
func (m *maker) make(kind string) (Value, error) {
	if f, ok := lookalikes[kind]; ok {
		return f(m), nil
	}
	if f, ok := values[kind]; ok {
		return f(m), nil
	}
	return Value{}, fmt.Errorf("no kind of value is named %q", kind)
}
