package fetch

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Two that make the same folder at once may replace an empty one by another;
// whoever puts something into it just then must not fail.
func TestFoldersThatManyMake(t *testing.T) {
	s, err := OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for round := range 100 {
		kind := fmt.Sprintf("kind-%d", round)
		var wg sync.WaitGroup
		start := make(chan struct{})
		for i := range 8 {
			wg.Go(func() {
				<-start
				key := fmt.Sprint(i)
				if err := s.SetRecord(kind, key, []byte(key)); err != nil {
					t.Errorf("round %d: %v", round, err)
				}
				if data, ok := s.Record(kind, key); !ok || string(data) != key {
					t.Errorf("round %d: record %s is %q, %t", round, key, data, ok)
				}
			})
		}
		close(start)
		wg.Wait()
	}
	if left, _ := filepath.Glob(filepath.Join(s.Dir(), ".new-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if left, _ := os.ReadDir(filepath.Join(s.Dir(), tmpDir)); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
