package verify

import (
	"fmt"
	"strings"

	"github.com/shudl/shudl-assemble/layers/attest"
)

// signature looks for a signature of the manifest by somebody who may sign.
// One is enough; what else lies there is listed.
func (c *checker) signature(e *evidence) {
	f := e.finding("signature")
	f.Expected = "signed by " + e.in.rule.Signers.String()
	for i, a := range e.accepted {
		if kindOf(a) != attest.PredicateSign {
			continue
		}
		f.Found, f.Others = a.String(), e.others(attest.PredicateSign, i)
		if a.Repository != "" {
			f.Found += ", as " + a.Repository
		}
		c.pass(f)
		return
	}
	why := e.others(attest.PredicateSign, -1)
	if len(why) == 0 {
		f.Found = "no signature"
		f.Advice = "it was built but not pushed with a key, or copied without its signatures: `shudl-assemble copy` brings them along"
		c.fail(ErrNotSigned, f)
		return
	}
	f.Found = fmt.Sprintf("%d of others or of another image: %s", len(why), strings.Join(shortened(why), "; "))
	f.Others = why
	f.Advice = "name who signed it; if that is who you meant, do not use this image"
	c.fail(ErrNoMatch, f)
}

// maxTold is how many refusals are told in one line; all are in Others.
const maxTold = 3

func shortened(lines []string) []string {
	if len(lines) <= maxTold {
		return lines
	}
	return append(lines[:maxTold:maxTold], fmt.Sprintf("and %d more", len(lines)-maxTold))
}
