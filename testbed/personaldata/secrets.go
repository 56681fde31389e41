// SPDX-License-Identifier: Apache-2.0

package personaldata

import (
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/millrace/millrace/internal/detector"
)

// jwt is a token by RFC 7519 in its compact form.
func (m *maker) jwt() Value {
	encode := base64.RawURLEncoding.EncodeToString
	header := fmt.Sprintf(`{"alg":"%s","typ":"JWT"}`, pick(m, "HS256", "RS256", "ES256"))
	if m.chance(3) {
		header = fmt.Sprintf(`{"typ":"JWT","kid":"%s","alg":"RS256"}`, m.hex(8))
	}
	claims := fmt.Sprintf(`{"sub":"%s","iat":%d,"scope":"%s"}`, m.digits(10), m.time(2015, 2026).Unix(), m.word(9))
	return personal(detector.Secret, "JWT", encode([]byte(header))+"."+encode([]byte(claims))+"."+m.word(pick(m, 43, 86, 342), lettersDigits+"-_"))
}

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// summed is a token whose last six characters are the CRC-32 of the thirty before them, as GitHub and npm make theirs.
func (m *maker) summed(prefix string) string {
	body := m.word(30, lettersDigits)
	sum := crc32.ChecksumIEEE([]byte(body))
	var tail [6]byte
	for i := range tail {
		tail[5-i] = base62[sum%62]
		sum /= 62
	}
	return prefix + body + string(tail[:])
}

// apiKey is a key or token whose form its issuer documents.
func (m *maker) apiKey() Value {
	secret := func(form, text string) Value { return personal(detector.Secret, form, text) }
	base32 := "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	switch m.n(18) {
	case 0:
		return secret("AWS access key ID", pick(m, "AKIA", "ASIA")+m.word(16, base32))
	case 1:
		return secret("GitHub token", m.summed(pick(m, "ghp_", "gho_", "ghs_", "ghu_")))
	case 2:
		return secret("GitHub fine-grained token", "github_pat_"+m.word(22, lettersDigits)+"_"+m.word(59, lettersDigits))
	case 3:
		return secret("GitLab token", "glpat-"+m.word(20, lettersDigits+"-_"))
	case 4:
		return secret("Slack token", pick(m, "xoxb-", "xoxp-")+m.digits(11)+"-"+m.digits(12)+"-"+m.word(24, lettersDigits))
	case 5:
		return secret("Stripe key", pick(m, "sk_live_", "rk_live_", "sk_test_")+m.word(pick(m, 24, 99), lettersDigits))
	case 6:
		return secret("Google API key", "AIza"+m.word(35, lettersDigits+"-_"))
	case 7:
		return secret("SendGrid key", "SG."+m.word(22, lettersDigits+"-_")+"."+m.word(43, lettersDigits+"-_"))
	case 8:
		return secret("npm token", m.summed("npm_"))
	case 9:
		return secret("Hugging Face token", "hf_"+m.word(34, lettersDigits))
	case 10:
		return secret("Shopify token", "shpat_"+m.hex(32))
	case 11:
		return secret("DigitalOcean token", "dop_v1_"+m.hex(64))
	case 12:
		return secret("PyPI token", "pypi-AgEIcHlwaS5vcmc"+m.word(150, lettersDigits+"-_"))
	case 13:
		return secret("Telegram bot token", m.digits(9)+":AA"+m.word(33, lettersDigits+"-_"))
	case 14:
		return secret("Twilio API key", "SK"+m.hex(32))
	case 15:
		return secret("OpenAI key", "sk-proj-"+m.word(74, lettersDigits+"-_")+"T3BlbkFJ"+m.word(74, lettersDigits+"-_"))
	case 16:
		return secret("private key", "-----BEGIN PRIVATE KEY-----\n"+strings.Repeat(m.word(64, lettersDigits+"+/")+"\n", 3)+"-----END PRIVATE KEY-----")
	default:
		return join("Authorization: Bearer ", secret("bearer token", m.word(m.between(32, 48), lettersDigits+"-_")))
	}
}
