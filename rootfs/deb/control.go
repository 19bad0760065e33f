package deb

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxParagraph bounds one paragraph of control data, in bytes. The longest in
// the Debian archive are a few hundred kilobytes.
const maxParagraph = 8 << 20

// paragraph is one block of control fields, in the order of the file. Names
// are kept as written and compared without case.
type paragraph []field

type field struct{ name, value string }

// get returns a field's value, lines joined by "\n" with their leading space
// taken off, or "".
func (p paragraph) get(name string) string {
	for _, f := range p {
		if strings.EqualFold(f.name, name) {
			return f.value
		}
	}
	return ""
}

// controlReader reads deb822 paragraphs. It is strict: a line is a field, a
// continuation, a comment (only where comments is set) or empty.
type controlReader struct {
	r        *bufio.Reader
	line     int
	comments bool
	// keep, where set, names the fields (lower case) that are kept; the
	// others are checked and forgotten.
	keep map[string]bool
}

func newControlReader(r io.Reader) *controlReader {
	return &controlReader{r: bufio.NewReaderSize(r, 64<<10)}
}

// next returns the next paragraph, or io.EOF.
func (c *controlReader) next() (paragraph, error) {
	s := paragraphScan{seen: map[string]bool{}}
	for {
		raw, err := c.readLine()
		if err != nil && !(errors.Is(err, io.EOF) && len(raw) > 0) {
			if errors.Is(err, io.EOF) && s.began {
				return s.finish(), nil
			}
			return nil, err
		}
		if s.size += len(raw); s.size > maxParagraph {
			return nil, fmt.Errorf("line %d: a paragraph is longer than %d bytes", c.line, maxParagraph)
		}
		text := strings.TrimRight(string(raw), " \t\r\n")
		switch {
		case text == "" && s.began:
			return s.finish(), nil
		case text == "":
		case c.comments && raw[0] == '#':
		default:
			if err := s.add(raw[0], text, c.keep); err != nil {
				return nil, fmt.Errorf("line %d: %w", c.line, err)
			}
		}
	}
}

// readLine returns a line with its end, valid until the next call.
func (c *controlReader) readLine() ([]byte, error) {
	c.line++
	raw, err := c.r.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return raw, err
	}
	long := append([]byte(nil), raw...)
	for errors.Is(err, bufio.ErrBufferFull) {
		if len(long) > maxParagraph {
			return nil, fmt.Errorf("line %d is longer than %d bytes", c.line, maxParagraph)
		}
		raw, err = c.r.ReadSlice('\n')
		long = append(long, raw...)
	}
	return long, err
}

// paragraphScan is a paragraph while it is read.
type paragraphScan struct {
	p     paragraph
	name  string
	value strings.Builder
	kept  bool
	began bool
	size  int
	seen  map[string]bool
}

// add takes one line that is not empty.
func (s *paragraphScan) add(first byte, text string, keep map[string]bool) error {
	if first == ' ' || first == '\t' {
		if s.name == "" {
			return errors.New("a continuation line before any field")
		}
		if s.kept {
			s.value.WriteByte('\n')
			s.value.WriteString(strings.TrimLeft(text[1:], " \t"))
		}
		return nil
	}
	name, value, ok := strings.Cut(text, ":")
	if !ok || !validFieldName(name) {
		return fmt.Errorf("%.60q is neither a field nor a continuation", text)
	}
	lower := strings.ToLower(name)
	if s.seen[lower] {
		return fmt.Errorf("field %s twice in one paragraph", name)
	}
	s.seen[lower] = true
	s.flush()
	s.began, s.name, s.kept = true, name, keep == nil || keep[lower]
	if s.kept {
		s.value.WriteString(strings.TrimLeft(value, " \t"))
	}
	return nil
}

func (s *paragraphScan) flush() {
	if s.name != "" && s.kept {
		s.p = append(s.p, field{s.name, s.value.String()})
	}
	s.value.Reset()
}

func (s *paragraphScan) finish() paragraph {
	s.flush()
	return s.p
}

// validFieldName holds a name to Policy 5.1: printable ASCII without space
// and colon, not beginning with # or -.
func validFieldName(name string) bool {
	if name == "" || name[0] == '#' || name[0] == '-' {
		return false
	}
	for i := range len(name) {
		if name[i] <= ' ' || name[i] > '~' {
			return false
		}
	}
	return true
}
