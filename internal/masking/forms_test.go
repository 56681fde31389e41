// SPDX-License-Identifier: Apache-2.0

package masking

import (
	"errors"
	"flag"
	"fmt"
	"net/mail"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/subjectkey"
)

var update = flag.Bool("update", false, "write the golden files")

var (
	formNames = [...]string{"any", "text", "email_address", "date", "date_time", "uuid", "digits", "integer", "number", "other"}
	kindNames = [...]string{"text", "int", "double"}
)

// checkForm says whether v is what a form promises.
func checkForm(v Value, form Form) error {
	switch form {
	case Any:
		return nil
	case Integer, Number:
		if want := map[Form]ValueKind{Integer: IntValue, Number: DoubleValue}[form]; v.Kind != want {
			return fmt.Errorf("kind %d", v.Kind)
		}
		return nil
	}
	if v.Kind != TextValue {
		return fmt.Errorf("kind %d", v.Kind)
	}
	switch form {
	case EmailAddress:
		address, err := mail.ParseAddress(v.Text)
		if err == nil && address.Address != v.Text {
			err = errors.New("it has more than the address")
		}
		return err
	case Date:
		_, err := time.Parse(time.DateOnly, v.Text)
		return err
	case DateTime:
		_, err := time.Parse(time.RFC3339, v.Text)
		return err
	case UUID:
		id, err := uuid.Parse(v.Text)
		if err == nil && (len(v.Text) != 36 || id.Variant() != uuid.RFC4122) {
			err = errors.New("it has another form")
		}
		return err
	case Digits:
		_, err := strconv.ParseFloat(v.Text, 64)
		return err
	case Other:
		return errors.New("nothing fits")
	}
	return nil
}

// Every action, form and kind of value has a line in testdata/forms.txt.
func TestEveryActionAnswersEveryFormAndKind(t *testing.T) {
	subject := testSubject(t)
	texts := [...]string{
		Any: "john.doe@example.com", Text: "John Q. Smith", EmailAddress: "john.doe@example.com", Date: "1984-05-17",
		DateTime: "1984-05-17T10:20:30Z", UUID: "2b1f0e9c-8d7a-4b6c-9e5f-0a1b2c3d4e5f", Digits: "4915112345678", Integer: "4915112345678",
		Number: "1234567.25", Other: "John Q. Smith",
	}
	var b strings.Builder
	for _, spec := range []Spec{
		{Action: Keep}, {Action: Redact}, {Action: Redact, Replacement: "0"}, {Action: Redact, Replacement: "redacted@redacted.invalid"},
		{Action: Partial}, {Action: Truncate}, {Action: Truncate, KeepFirst: 4}, {Action: Pseudonym}, {Action: FPE}, {Action: Token},
		{Action: Erasable}, {Action: Bucket, Width: 1000}, {Action: Drop},
	} {
		a := newAction(t, spec)
		assert.Equal(t, spec.Action, a.Kind())
		fmt.Fprintf(&b, "%s %s%s\n", spec.Action, spec.Replacement, strings.Repeat("+", spec.KeepFirst))
		for form := range Other + 1 {
			for kind, v := range [...]Value{
				{Text: texts[form]}, {Kind: IntValue, Int: 4915112345678}, {Kind: DoubleValue, Double: 1234567.25},
			} {
				target := Target{Tenant: "t1", Class: "thing", Form: form, Subject: subject}
				if form == EmailAddress {
					target.Class = "email"
				}
				got, err := a.Mask(v, &target)
				line := "an error"
				switch {
				case err == nil:
					line = fmt.Sprintf("%s %s", kindNames[got.Kind], text(got))
					if spec.Action == Erasable {
						line = line[:len("text er_")] + "…" + line[max(0, len(line)-len("@erasable.invalid")):]
						if form != EmailAddress {
							line = "text er_…"
						}
					}
					if spec.Action != Keep {
						require.NoError(t, checkForm(got, form), "%s of %s %s", spec.Action, formNames[form], kindNames[kind])
					}
				case errors.Is(err, ErrDrop):
					line = "drop"
				default:
					require.ErrorIs(t, err, ErrCannotMask)
				}
				fmt.Fprintf(&b, "  %s of %s: %s\n", formNames[form], kindNames[kind], line)
			}
		}
	}
	path := filepath.Join("testdata", "forms.txt")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(b.String()), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), b.String())
}

func testSubject(t testing.TB) *subjectkey.Key {
	t.Helper()
	keys := make([]*subjectkey.Key, 1)
	require.NoError(t, testSubjects(t).Keys(t.Context(), []subjectkey.Subject{{Tenant: "t1", ID: "u1"}}, keys))
	return keys[0]
}
