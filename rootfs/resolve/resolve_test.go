package resolve

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

func TestVanished(t *testing.T) {
	missing, refused := fetch.Attempt{Mirror: "https://example.org", Err: fs.ErrNotExist}, fetch.Attempt{Mirror: "https://example.com", Err: errors.New("refused")}
	snapshot := fetch.Attempt{Mirror: "https://snapshot.debian.org/archive/debian/20260101T000000Z", Err: errors.New("no such host")}
	for name, test := range map[string]struct {
		archive string
		tried   []fetch.Attempt
		want    bool
	}{
		"one mirror has it not":          {fetch.Debian, []fetch.Attempt{missing}, true},
		"the snapshot does not answer":   {fetch.Debian, []fetch.Attempt{missing, snapshot}, true},
		"a mirror does not answer":       {fetch.Alpine, []fetch.Attempt{missing, refused}, false},
		"only the snapshot was asked":    {fetch.Debian, []fetch.Attempt{snapshot}, false},
		"a jar is gone for good":         {fetch.Maven, []fetch.Attempt{missing}, false},
		"no mirror is known to be asked": {fetch.Alpine, nil, false},
	} {
		err := fmt.Errorf("image base: %w", &fetch.MirrorError{Archive: test.archive, Path: "a", Tried: test.tried})
		if got := Vanished(err); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if Vanished(nil) || Vanished(errors.New("other")) {
		t.Error("another error counts as vanished")
	}
}
