package apk

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// Record is one package of an installed database: what the index says of it,
// and the text that the database has, its files included.
type Record struct {
	*Package
	// Text is every line of the record without the empty one after it.
	Text string
}

// ReadInstalled reads lib/apk/db/installed.
func ReadInstalled(r io.Reader) ([]Record, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	var records []Record
	var text strings.Builder
	current := &Package{}
	files := false
	number := 0
	finish := func() error {
		if text.Len() == 0 {
			return nil
		}
		if err := current.check(); err != nil {
			return fmt.Errorf("installed database: record before line %d: %w", number, err)
		}
		records = append(records, Record{current, text.String()})
		current, files = &Package{}, false
		text.Reset()
		return nil
	}
	for lines.Scan() {
		number++
		line := lines.Text()
		if line == "" {
			if err := finish(); err != nil {
				return nil, err
			}
			continue
		}
		files = files || strings.HasPrefix(line, "F:")
		if !files {
			if err := current.set(line); err != nil {
				return nil, fmt.Errorf("installed database: line %d: %w", number, err)
			}
		}
		text.WriteString(line + "\n")
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("installed database: %w", err)
	}
	number++
	if err := finish(); err != nil {
		return nil, err
	}
	return records, nil
}

// Packages lists the packages of records.
func Packages(records []Record) []*Package {
	list := make([]*Package, len(records))
	for i, r := range records {
		list[i] = r.Package
	}
	return list
}
