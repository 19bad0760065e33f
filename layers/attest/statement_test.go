package attest_test

import (
	"bytes"
	"testing"

	"github.com/shudl/shudl-assemble/layers/attest"
)

func TestCompactStatement(t *testing.T) {
	const subject = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for _, predicate := range []string{`{}`, `{"a":[1,2],"b":null}`, `{"x":"a \"<&>\" ` + "\u2028" + ` é \ufffd"}`, `null`} {
		want, err := attest.NewStatement("ghcr.io/a/b", subject, attest.PredicateSPDX, []byte(predicate))
		if err != nil {
			t.Fatal(err)
		}
		got, err := attest.CompactStatement("ghcr.io/a/b", subject, attest.PredicateSPDX, []byte(predicate))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("got  %s\nwant %s\n%v", got, want, err)
		}
	}
}
