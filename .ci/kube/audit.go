package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// request is what matters of an audit.k8s.io/v1 Event.
type request struct {
	Verb                     string
	ObjectRef                struct{ Resource, Subresource string }
	ResponseStatus           struct{ Code int }
	RequestReceivedTimestamp time.Time
}

// span is a time in which the API server was starting. Until it is ready it
// knows no roles and refuses what it will allow; who asks through a load
// balancer never sees that.
type span struct{ from, to time.Time }

// starting is put before a refusal in such a time.
const starting = "while the API server was starting: "

// asked counts the requests of Patroni in an audit log, by verb, resource and
// answer.
func asked(file string, starts []span) (map[string]int, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	counts := map[string]int{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e request
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			continue // the last line before the server was killed may be cut
		}
		what := e.ObjectRef.Resource
		if e.ObjectRef.Subresource != "" {
			what += "/" + e.ObjectRef.Subresource
		}
		what = fmt.Sprintf("%d %s %s", e.ResponseStatus.Code, e.Verb, what)
		at := e.RequestReceivedTimestamp
		if e.ResponseStatus.Code == 403 && slices.ContainsFunc(starts, func(s span) bool { return !at.Before(s.from) && at.Before(s.to) }) {
			what = starting + what
		}
		counts[what]++
	}
	return counts, lines.Err()
}

// refused are the kinds of request that Patroni has no right to, but for those
// that it makes without need.
func refused(counts map[string]int, tolerated ...string) []string {
	var out []string
	for _, one := range slices.Sorted(maps.Keys(counts)) {
		if strings.HasPrefix(one, "403 ") && !slices.Contains(tolerated, strings.TrimPrefix(one, "403 ")) {
			out = append(out, fmt.Sprintf("%s: %d times", one, counts[one]))
		}
	}
	return out
}
