package apk

import "strings"

// relation is how two versions compare; a constraint accepts a set of them.
type relation uint8

const (
	equal   relation = 1
	less    relation = 2
	greater relation = 4
	// unknown is the relation of a version to an absent one.
	unknown relation = equal | less | greater
)

// token is the kind of the next piece of a version. The order counts: where
// two versions differ in the kind of a piece, the higher kind is older.
type token int8

const (
	tokenInvalid     token = iota - 1
	tokenDigitOrZero       // a number after a dot, in which leading zeros count
	tokenDigit             // a number
	tokenLetter            // one letter after a number
	tokenSuffix            // _alpha, _p …
	tokenSuffixNo          // the number of a suffix
	tokenRevision          // the number after -r
	tokenEnd
)

// Suffixes before and after a release, oldest first.
var (
	preSuffixes  = [...]string{"alpha", "beta", "pre", "rc"}
	postSuffixes = [...]string{"cvs", "svn", "git", "hg", "p"}
)

// maxDigits is the longest number that apk accepts in a version.
const maxDigits = 17

// scanner walks a version piece by piece.
type scanner struct {
	rest string
	kind token
}

// next takes one piece and returns its value; kind then says what follows.
func (s *scanner) next() int64 {
	if s.rest == "" {
		s.kind = tokenEnd
		return 0
	}
	var value int64
	var length int
	zeros := false
	switch s.kind {
	case tokenDigitOrZero:
		if s.rest[0] != '0' {
			value, length = number(s.rest)
			break
		}
		// All zeros but the last are a piece of their own: the more there
		// are, the older the version.
		for length+1 < len(s.rest) && s.rest[length+1] == '0' {
			length++
		}
		value, zeros = int64(-length), true
	case tokenDigit, tokenSuffixNo, tokenRevision:
		value, length = number(s.rest)
	case tokenLetter:
		value, length = int64(int8(s.rest[0])), 1
	case tokenSuffix:
		value, length = suffix(s.rest)
	default:
		length = -1
	}
	if length < 0 {
		s.kind = tokenInvalid
		return -1
	}
	s.rest = s.rest[length:]
	switch {
	case s.rest == "":
		s.kind = tokenEnd
	case zeros:
		s.kind = tokenDigit
	default:
		s.advance()
	}
	return value
}

// number reads leading digits; a length of -1 means too many of them.
func number(s string) (value int64, length int) {
	for length < len(s) && isDigit(s[length]) {
		value = value*10 + int64(s[length]-'0')
		length++
	}
	if length > maxDigits {
		return 0, -1
	}
	return value, length
}

func suffix(s string) (value int64, length int) {
	for i, name := range preSuffixes {
		if strings.HasPrefix(s, name) {
			return int64(i - len(preSuffixes)), len(name)
		}
	}
	for i, name := range postSuffixes {
		if strings.HasPrefix(s, name) {
			return int64(i), len(name)
		}
	}
	return 0, -1
}

// advance finds out what follows a piece and steps over its separator.
func (s *scanner) advance() {
	c := s.rest[0]
	switch {
	case c == 0:
		s.kind = tokenEnd
		return
	case s.kind <= tokenDigit && c >= 'a' && c <= 'z':
		s.kind = tokenLetter
		return
	case s.kind == tokenLetter && isDigit(c):
		s.kind = tokenDigit
		return
	case s.kind == tokenSuffix && isDigit(c):
		s.kind = tokenSuffixNo
		return
	}
	following := tokenInvalid
	switch c {
	case '.':
		following = tokenDigitOrZero
	case '_':
		following = tokenSuffix
	case '-':
		if strings.HasPrefix(s.rest, "-r") {
			following = tokenRevision
			s.rest = s.rest[1:]
		}
	}
	s.rest = s.rest[1:]
	inOrder := following >= s.kind ||
		following == tokenDigitOrZero && s.kind == tokenDigit ||
		following == tokenSuffix && s.kind == tokenSuffixNo
	if !inOrder {
		following = tokenInvalid
	}
	s.kind = following
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// ValidVersion says whether apk takes s as a version:
// number{.number}[letter]{_suffix[number]}[-r number].
func ValidVersion(s string) bool {
	scan := scanner{rest: s, kind: tokenDigit}
	for scan.kind != tokenEnd && scan.kind != tokenInvalid {
		scan.next()
	}
	return scan.kind == tokenEnd
}

// CompareVersions orders two versions as apk 2.14 does: -1 where a is older
// than b, 1 where it is newer, 0 where they are equal or one is absent.
func CompareVersions(a, b string) int {
	switch compare(a, b, false) {
	case less:
		return -1
	case greater:
		return 1
	}
	return 0
}

// compare gives the relation of a to b. Fuzzy takes one version that begins
// with the pieces of the other as equal to it.
func compare(a, b string, fuzzy bool) relation {
	if a == "" || b == "" {
		if a == b {
			return equal
		}
		return unknown
	}
	left := scanner{rest: a, kind: tokenDigit}
	right := scanner{rest: b, kind: tokenDigit}
	var x, y int64
	for left.kind == right.kind && left.kind != tokenEnd && left.kind != tokenInvalid && x == y {
		x, y = left.next(), right.next()
	}
	switch {
	case x < y:
		return less
	case x > y:
		return greater
	case fuzzy || left.kind == right.kind:
		return equal
	}
	// One ends earlier. A pre-release suffix makes the longer one older.
	if probe := left; left.kind == tokenSuffix && probe.next() < 0 {
		return less
	}
	if probe := right; right.kind == tokenSuffix && probe.next() < 0 {
		return greater
	}
	if left.kind > right.kind {
		return less
	}
	return greater
}
