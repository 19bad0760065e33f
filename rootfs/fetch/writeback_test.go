package fetch

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestWriteback(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := errors.Join(f.Truncate(3*writebackStep), startWriting(f, 0, writebackStep)); err != nil {
		t.Fatal(err)
	}
	var w writeback
	for _, one := range []struct{ size, begun int64 }{
		{writebackStep - 1, 0}, {writebackStep, writebackStep}, {2*writebackStep - 1, writebackStep}, {3 * writebackStep, 3 * writebackStep},
		{10, 0}, {writebackStep + 10, writebackStep + 10}, // emptied, and written anew
	} {
		if w.wrote(f, one.size); w.begun != one.begun {
			t.Errorf("of %d bytes %d are on their way to disk, want %d", one.size, w.begun, one.begun)
		}
	}
}
