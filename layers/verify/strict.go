package verify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxNesting is how deep JSON of a manifest may nest; an OCI manifest has five
// levels.
const maxNesting = 32

// unambiguous refuses JSON that two readers may take for different things:
// two keys of one object that are equal but for their case, since some readers
// take the first, some the last, and some do not look at the case; anything
// behind the value; and depth without end.
func unambiguous(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if err := oneValue(d, 0); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value")
	}
	return nil
}

func oneValue(d *json.Decoder, depth int) error {
	if depth > maxNesting {
		return fmt.Errorf("JSON nested deeper than %d", maxNesting)
	}
	token, err := d.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('{'):
		seen := map[string]bool{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return err
			}
			name, _ := key.(string)
			folded := strings.ToLower(name)
			if seen[folded] {
				return fmt.Errorf("the key %q stands twice", name)
			}
			seen[folded] = true
			if err := oneValue(d, depth+1); err != nil {
				return err
			}
		}
	case json.Delim('['):
		for d.More() {
			if err := oneValue(d, depth+1); err != nil {
				return err
			}
		}
	default:
		return nil
	}
	_, err = d.Token()
	return err
}
