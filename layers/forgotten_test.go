package layers

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shudl/shudl-assemble/rootfs/fetch/fetchtest"
	"github.com/shudl/shudl-assemble/rootfs/progress"
)

// told keeps what is said to the user.
type told struct {
	progress.Discard
	lines []string
}

func (s *told) Say(format string, args ...any) {
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
}

// TestForgottenPlacesFailNoLayer: a layer that is done is not failed by a
// store that takes no record of where its packages lie.
func TestForgottenPlacesFailNoLayer(t *testing.T) {
	o := Options{Epoch: epoch}
	want := mustWrite(t, fetchtest.NewStore(t), packages(t, "1"), o)
	s := fetchtest.NewStore(t)
	records := filepath.Join(s.Dir(), "records")
	if err := os.MkdirAll(records, 0o755); err != nil {
		t.Fatal(err)
	}
	// Where a folder should be, a file: no record can be made, not by root either.
	if err := os.WriteFile(filepath.Join(records, memberRecord), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	sink := &told{}
	o.Progress = sink
	if diff := cmp.Diff(want, mustWrite(t, s, packages(t, "1"), o)); diff != "" {
		t.Error(diff)
	}
	if len(sink.lines) != 1 || !strings.HasPrefix(sink.lines[0], "layer "+t.Name()+": where its packages lie is not kept: ") {
		t.Errorf("the user was told %q", sink.lines)
	}
}
