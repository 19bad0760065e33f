package sandbox

import (
	"fmt"
	"testing"
)

func TestOrphan(t *testing.T) {
	for _, one := range []struct {
		state, parent, ids string
		want               bool
	}{
		{"Z (zombie)", "1", "17\t9", true},
		{"S (sleeping)", "1", "17\t9", false}, // alive
		{"Z (zombie)", "1", "17", false},      // a child of this program's own
		{"Z (zombie)", "12", "17\t9", false},  // another's
	} {
		status := fmt.Sprintf("Name:\tjava\nState:\t%s\nTgid:\t17\nPid:\t17\nPPid:\t%s\nGroups:\t \nNSpid:\t%s\n", one.state, one.parent, one.ids)
		if have := orphan([]byte(status), 1); have != one.want {
			t.Errorf("%q is an orphan: %t, want %t", status, have, one.want)
		}
	}
}
