// SPDX-License-Identifier: Apache-2.0

package detector

import (
	"encoding/base64"
	"strings"
)

const (
	ruleJWT           = "jwt"
	rulePrivateKey    = "private_key"
	ruleAuthorization = "authorization"
	ruleTelegram      = "token_telegram"
)

// tokenForm is how a provider's keys look: a prefix, and then so many bytes of some kinds. The facts are the providers' own, as their
// documentation and their entries in public secret scanners' lists give them.
type tokenForm struct {
	prefix   string
	rule     string
	min, max int   // bytes after the prefix
	kinds    uint8 // of classOf, that they may have
	needs    Hint  // what the key or the words before it must say
}

const (
	kindAlnum = bitDigit | bitLetter
	kindURL   = kindAlnum | bitDash | bitUnder
	kindAny   = kindURL | bitDot
	kindCaps  = bitDigit | bitHexUpper | bitUpper
)

// minToken is the length of the shortest of tokens, prefix included.
const minToken = 18

var tokens = [...]tokenForm{
	{"AKIA", "aws_access_key", 16, 16, kindCaps, 0},
	{"ASIA", "aws_access_key", 16, 16, kindCaps, 0},
	{"ABIA", "aws_access_key", 16, 16, kindCaps, 0},
	{"ACCA", "aws_access_key", 16, 16, kindCaps, 0},
	{"AIza", "google_api_key", 35, 35, kindURL, 0},
	{"AGE-SECRET-KEY-1", "age_secret_key", 58, 58, kindCaps, 0},
	{"ATATT3", "atlassian_token", 100, 250, kindAny, 0},
	{"ATCTT3", "atlassian_token", 100, 250, kindAny, 0},
	{"EAAA", "square_token", 60, 60, kindURL, 0},
	{"GOCSPX-", "google_client_secret", 20, 40, kindURL, 0},
	{"NRAK-", "new_relic_key", 27, 27, kindCaps, 0},
	{"PMAK-", "postman_key", 50, 70, kindURL, 0},
	{"SG.", "sendgrid_key", 60, 70, kindAny, 0},
	{"SK", "twilio_key", 32, 32, bitHex, 0},
	{"AC", "twilio_account", 32, 32, bitHex, hintSecret},
	{"dapi", "databricks_token", 32, 34, bitHex | bitDash, 0},
	{"dckr_pat_", "docker_token", 20, 60, kindURL, 0},
	{"doo_v1_", "digitalocean_token", 64, 64, bitHex, 0},
	{"dop_v1_", "digitalocean_token", 64, 64, bitHex, 0},
	{"dor_v1_", "digitalocean_token", 64, 64, bitHex, 0},
	{"dp.pt.", "doppler_token", 40, 60, kindAny, 0},
	{"figd_", "figma_token", 36, 64, kindURL, 0},
	{"ghp_", "github_token", 36, 255, kindAlnum, 0},
	{"gho_", "github_token", 36, 255, kindAlnum, 0},
	{"ghu_", "github_token", 36, 255, kindAlnum, 0},
	{"ghs_", "github_token", 36, 255, kindAny, 0},
	{"ghr_", "github_token", 36, 255, kindAlnum, 0},
	{"github_pat_", "github_token", 22, 255, kindAlnum | bitUnder, 0},
	{"glpat-", "gitlab_token", 20, 300, kindAny, 0},
	{"gldt-", "gitlab_token", 20, 300, kindAny, 0},
	{"glrt-", "gitlab_token", 20, 300, kindAny, 0},
	{"glptt-", "gitlab_token", 20, 300, kindAny, 0},
	{"glcbt-", "gitlab_token", 20, 300, kindAny, 0},
	{"glsoat-", "gitlab_token", 20, 300, kindAny, 0},
	{"glagent-", "gitlab_token", 20, 300, kindAny, 0},
	{"glsa_", "grafana_token", 30, 60, kindURL, 0},
	{"gsk_", "groq_key", 48, 56, kindAlnum, 0},
	{"hf_", "huggingface_token", 30, 40, kindAlnum, 0},
	{"hvb.", "vault_token", 90, 400, kindURL, 0},
	{"hvs.", "vault_token", 24, 400, kindURL, 0},
	{"key-", "mailgun_key", 32, 32, bitHex, 0},
	{"lin_api_", "linear_key", 32, 48, kindAlnum, 0},
	{"npm_", "npm_token", 36, 36, kindAlnum, 0},
	{"ntn_", "notion_token", 40, 60, kindAlnum, 0},
	{"nvapi-", "nvidia_key", 40, 80, kindURL, 0},
	{"op_", "onepassword_token", 200, 1000, kindURL, 0},
	{"pplx-", "perplexity_key", 40, 64, kindAlnum, 0},
	{"pypi-", "pypi_token", 50, 400, kindURL, 0},
	{"r8_", "replicate_token", 37, 40, kindAlnum, 0},
	{"rk_live_", "stripe_key", 16, 247, kindAlnum, 0},
	{"rk_test_", "stripe_key", 16, 247, kindAlnum, 0},
	{"rzp_live_", "razorpay_key", 14, 24, kindAlnum, 0},
	{"shpat_", "shopify_token", 32, 40, bitHex, 0},
	{"shpca_", "shopify_token", 32, 40, bitHex, 0},
	{"shppa_", "shopify_token", 32, 40, bitHex, 0},
	{"shpss_", "shopify_token", 32, 40, bitHex, 0},
	{"sk_live_", "stripe_key", 16, 247, kindAlnum, 0},
	{"sk_test_", "stripe_key", 16, 247, kindAlnum, 0},
	{"sk-ant-", "anthropic_key", 40, 200, kindURL, 0},
	{"sk-or-v1-", "openrouter_key", 64, 64, bitHex, 0},
	{"sk-proj-", "openai_key", 40, 250, kindURL, 0},
	{"sk-svcacct-", "openai_key", 40, 250, kindURL, 0},
	{"sk-admin-", "openai_key", 40, 250, kindURL, 0},
	{"sk-", "openai_key", 40, 64, kindAlnum, 0},
	{"sntrys_", "sentry_token", 40, 400, kindURL, 0},
	{"sntryu_", "sentry_token", 64, 64, bitHex, 0},
	{"sq0atp-", "square_token", 22, 22, kindURL, 0},
	{"sq0csp-", "square_token", 43, 43, kindURL, 0},
	{"tskey-", "tailscale_key", 20, 80, kindURL, 0},
	{"whsec_", "stripe_webhook_secret", 24, 64, kindAlnum, 0},
	{"xai-", "xai_key", 70, 90, kindAlnum, 0},
	{"xapp-", "slack_token", 40, 200, kindURL, 0},
	{"xoxa-", "slack_token", 20, 300, kindURL, 0},
	{"xoxb-", "slack_token", 20, 300, kindURL, 0},
	{"xoxc-", "slack_token", 20, 300, kindURL, 0},
	{"xoxd-", "slack_token", 20, 300, kindURL, 0},
	{"xoxe-", "slack_token", 20, 300, kindURL, 0},
	{"xoxo-", "slack_token", 20, 300, kindURL, 0},
	{"xoxp-", "slack_token", 20, 300, kindURL, 0},
	{"xoxr-", "slack_token", 20, 300, kindURL, 0},
	{"xoxs-", "slack_token", 20, 300, kindURL, 0},
	{"ya29.", "google_oauth_token", 30, 400, kindURL, 0},
}

// tokensOf are the places in tokens, plus one, of the first form that begins with a byte, and after the last one.
var tokensOf = func() (of [256][]uint8) {
	for i := range tokens {
		c := tokens[i].prefix[0]
		of[c] = append(of[c], uint8(i))
	}
	return of
}()

// secret finds a known kind of key or token that the token [start, last) is, or begins with.
func (s *scanner) secret(start, last int) int {
	text := s.text
	if text[start] == 'e' && last-start >= minJWT && text[start+1] == 'y' && text[start+2] == 'J' {
		if to := s.jwt(start, last); to > 0 {
			return to
		}
	}
	for _, i := range tokensOf[text[start]] {
		f := &tokens[i]
		if !strings.HasPrefix(text[start:last], f.prefix) {
			continue
		}
		to := start + len(f.prefix)
		from := to
		varied := uint8(0)
		for to < last && classOf[text[to]]&f.kinds != 0 {
			varied |= classOf[text[to]]
			to++
		}
		for to > from && classOf[text[to-1]]&bitDot != 0 {
			to--
		}
		if n := to - from; n < f.min || n > f.max || to < last && classOf[text[to]]&(kindURL&^bitDash) != 0 || varied&bitLetter == 0 {
			continue
		}
		if f.needs != 0 && s.hint&f.needs == 0 && s.near(start)&f.needs == 0 {
			continue
		}
		return s.emit(start, to, Secret, f.rule)
	}
	return 0
}

// maxBearer bounds how much of a token after "Bearer" is taken.
const maxBearer = 4096

// bearer finds what stands after "Bearer" or, in Base64 of a name and a password, "Basic".
func (s *scanner) bearer(start int) int {
	text := s.text
	if start >= 7 && foldEqual(text[start-7:start-1], "bearer") && (start == 7 || !isAlnum(text[start-8])) {
		end := base64End(text, start)
		if digits, letters := mixture(text[start:end]); !digits || !letters {
			return 0
		}
		return s.emit(start, end, Secret, ruleAuthorization)
	}
	if foldEqual(text[start-6:start-1], "basic") && (start == 6 || !isAlnum(text[start-7])) {
		end := base64End(text, start)
		if isUserAndPassword(text[start:end]) {
			return s.emit(start, end, Secret, ruleAuthorization)
		}
	}
	return 0
}

// base64End is where the token of RFC 6750 that begins at start ends.
func base64End(text string, start int) int {
	i := start
	for i < len(text) && i-start < maxBearer && (classOf[text[i]] != 0 || text[i] == '+' || text[i] == '/' || text[i] == '~') {
		i++
	}
	for i < len(text) && text[i] == '=' {
		i++
	}
	for i > start && text[i-1] == '.' {
		i--
	}
	return i
}

func mixture(text string) (digits, letters bool) {
	for i := range len(text) {
		digits = digits || isDigit(text[i])
		letters = letters || isLetter(text[i])
	}
	return digits, letters
}

// isUserAndPassword says that text is Base64 of printable text with a ':'.
func isUserAndPassword(text string) bool {
	var buf [192]byte
	text = strings.TrimRight(text, "=")
	if len(text) < 6 || len(text) > 256 {
		return false
	}
	n, err := base64.RawStdEncoding.Decode(buf[:], []byte(text))
	if err != nil {
		return false
	}
	colon := false
	for _, c := range buf[:n] {
		if c < ' ' || c == 0x7f {
			return false
		}
		colon = colon || c == ':'
	}
	return colon
}

func foldEqual(text, lower string) bool {
	if len(text) != len(lower) {
		return false
	}
	for i := range len(text) {
		if lowerByte(text[i]) != lower[i] {
			return false
		}
	}
	return true
}

const (
	minJWT    = 30
	maxHeader = 512
)

// jwt finds a JWT: a header that is JSON with "alg", in Base64, and one to four parts more.
func (s *scanner) jwt(start, last int) int {
	text := s.text
	dot := start
	for dot < last && text[dot] != '.' && dot-start <= maxHeader {
		dot++
	}
	if dot == last || text[dot] != '.' || dot-start > maxHeader || dot+4 >= last {
		return 0
	}
	var buf [maxHeader]byte
	n, err := base64.RawURLEncoding.Decode(buf[:], []byte(text[start:dot]))
	if err != nil || n < 2 || buf[0] != '{' || buf[n-1] != '}' || !strings.Contains(string(buf[:n]), `"alg"`) {
		return 0
	}
	return s.emit(start, last, Secret, ruleJWT)
}

// telegram finds a bot's token, whose number is the token [start, end), after "bot" in URLs, and whose ':' follows.
func (s *scanner) telegram(start, end int) int {
	text := s.text
	if end-start > 10 && end-start <= 13 && text[start:start+3] == "bot" {
		start += 3
	}
	if end-start > 10 || end+36 > len(text) || text[end+1] != 'A' {
		return 0
	}
	for k := start; k < end; k++ {
		if !isDigit(text[k]) {
			return 0
		}
	}
	i := end + 1
	for i < len(text) && i-end < 40 && classOf[text[i]]&kindURL != 0 {
		i++
	}
	if i-end-1 != 35 {
		return 0
	}
	return s.emit(start, i, Secret, ruleTelegram)
}

const (
	begin = "-----BEGIN "
	// minPrivateKey is less than the length of the shortest private key in PEM.
	minPrivateKey = 100
)

// privateKeyAfter is the place of the next block in PEM from i on, or one behind the text.
func privateKeyAfter(text string, i int) int {
	if at := strings.Index(text[i:], begin); at >= 0 {
		return i + at
	}
	return len(text) + 1
}

// privateKey looks at the block in PEM at start, and returns where to go on: behind it where it is a private key.
func (s *scanner) privateKey(start int) int {
	text := s.text
	head := text[start+len(begin):]
	head = head[:min(len(head), 40)]
	after := start + len(begin)
	at := strings.Index(head, "PRIVATE KEY")
	if at < 0 || strings.Contains(head[:at], "-----") {
		return after
	}
	body := after + at
	end := len(text) // one that is cut off is a secret too
	if stop := strings.Index(text[body:], "-----END "); stop >= 0 {
		end = body + stop + len("-----END ")
		for i := end; i < len(text) && i < end+40; i++ {
			if strings.HasPrefix(text[i:], "-----") {
				end = i + 5
				break
			}
		}
	}
	s.steps += end - start
	return s.emit(start, end, Secret, rulePrivateKey)
}
