package sandbox

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// subordinate finds the first large enough range of a user, named or by id, in
// a file as subuid(5) describes it.
func subordinate(file, name, id string) (idRange, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return idRange{}, err
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) != 3 || fields[0] != name && fields[0] != id {
			continue
		}
		first, err1 := strconv.ParseUint(fields[1], 10, 31)
		size, err2 := strconv.ParseUint(fields[2], 10, 31)
		if err1 == nil && err2 == nil && size >= leastIDs {
			return idRange{int(first), leastIDs}, nil
		}
	}
	return idRange{}, fmt.Errorf("%s delegates no %d ids to %s", file, leastIDs, name)
}
