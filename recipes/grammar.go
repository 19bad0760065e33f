package recipes

import (
	"fmt"
	"math"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"
)

// The grammars of all names that a recipe or a lock may carry. Whatever
// becomes part of a path, a tag or a command line is held to one of these
// first.
var (
	imageName    = NewPattern(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	streamName   = NewPattern(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$`)
	layerName    = NewPattern(`^[a-z0-9]+([._-][a-z0-9]+)*$`)
	variableName = NewPattern(`^[a-z][a-z0-9-]*$`)
	packageName  = NewPattern(`^[A-Za-z0-9_][A-Za-z0-9_+.-]*$`)
	packageWants = NewPattern(`^[A-Za-z0-9_][A-Za-z0-9_+.-]*(=[A-Za-z0-9][A-Za-z0-9_+.:~-]*)?$`)
	versionText  = NewPattern(`^[A-Za-z0-9][A-Za-z0-9_+.:~!-]*$`)
	accountName  = NewPattern(`^[a-z_][a-z0-9_-]{0,31}$`)
	userText     = NewPattern(`^([a-z_][a-z0-9_-]{0,31}|[0-9]{1,10})(:([a-z_][a-z0-9_-]{0,31}|[0-9]{1,10}))?$`)
	envName      = NewPattern(`^[A-Za-z_][A-Za-z0-9_]*$`)
	labelName    = NewPattern(`^[a-z0-9]+([._/-][a-z0-9]+)*$`)
	portText     = NewPattern(`^[1-9][0-9]{0,4}/(tcp|udp)$`)
	signalText   = NewPattern(`^SIG[A-Z0-9+-]+$`)
	supplierText = NewPattern(`^\pL[\pL\pN &.,'-]*$`)
	licenseText  = NewPattern(`^[A-Za-z0-9.+:()-]+( [A-Za-z0-9.+:()-]+)*$`)
	archiveName  = NewPattern(`^[a-z]+(-[a-z]+)*$`)
	ownerText    = NewPattern(`^(0|[1-9][0-9]{0,8}):(0|[1-9][0-9]{0,8})$`)
	modeText     = NewPattern(`^[0-7]{3,4}$`)
	budgetText   = NewPattern(`^([0-9]{1,9}(?:\.[0-9]{1,3})?)(B|kB|MB|GB)$`)
	mavenText    = NewPattern(`^[A-Za-z0-9_.-]+:[A-Za-z0-9_.-]+:[A-Za-z0-9_.+-]+(:[A-Za-z0-9_.+-]+)?(@[a-z0-9.]+)?$`)
	pypiText     = NewPattern(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?==[A-Za-z0-9][A-Za-z0-9.!+_-]*$`)
	hexDigest    = NewPattern(`^[0-9a-f]{64}$`)
	versionOf    = NewPattern(`^[A-Za-z0-9_][A-Za-z0-9_+.:@/-]*$`)
)

// CheckPath holds a path inside an image to its form: slash separated, clean,
// relative, and never above the root.
func CheckPath(text string) error {
	switch {
	case text == "" || text == ".":
		return fmt.Errorf("empty path")
	case strings.HasPrefix(text, "/"):
		return fmt.Errorf("path %q begins with a slash: write it relative to the root of the image", text)
	case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' || r == '\ufffd' }):
		return fmt.Errorf("path %q has a control character or a backslash", text)
	case text == ".." || strings.HasPrefix(text, "../") || strings.Contains(text, "/../") || strings.HasSuffix(text, "/.."):
		return fmt.Errorf("path %q leaves the root", text)
	case path.Clean(text) != text:
		return fmt.Errorf("path %q is not clean: write %q", text, path.Clean(text))
	}
	return nil
}

// checkGlob holds a doublestar pattern, and the one behind "!/" that reaches
// into an archive, to the form of a path.
func checkGlob(text string) error {
	outer, inner, nested := strings.Cut(text, "!/")
	parts := []string{outer}
	if nested {
		parts = append(parts, inner)
	}
	for _, part := range parts {
		if err := CheckPath(part); err != nil {
			return err
		}
		if !doublestar.ValidatePattern(part) {
			return fmt.Errorf("bad pattern %q", part)
		}
	}
	return nil
}

// parseMode reads permission bits in octal: 0755.
func parseMode(text string) (uint32, error) {
	if !modeText.MatchString(text) {
		return 0, fmt.Errorf("bad mode %q: want octal permission bits such as 0755", text)
	}
	n, err := strconv.ParseUint(text, 8, 32)
	return uint32(n), err
}

// parseOwner reads uid:gid.
func parseOwner(text string) (uid, gid int, err error) {
	if !ownerText.MatchString(text) {
		return 0, 0, fmt.Errorf("bad owner %q: want UID:GID in numbers", text)
	}
	first, second, _ := strings.Cut(text, ":")
	if uid, err = strconv.Atoi(first); err != nil {
		return 0, 0, err
	}
	gid, err = strconv.Atoi(second)
	return uid, gid, err
}

// parseBudget reads a size in decimal units and gives bytes: 155MB is
// 155,000,000.
func parseBudget(text string) (int64, error) {
	match := budgetText.FindStringSubmatch(text)
	if match == nil {
		return 0, fmt.Errorf("bad size %q: want a number with B, kB, MB or GB, such as 155MB", text)
	}
	number, err := strconv.ParseFloat(match[1], 64)
	if err != nil {
		return 0, err
	}
	unit := map[string]float64{"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}[match[2]]
	return int64(math.Round(number * unit)), nil
}

// parseInterval reads a duration of a health check: 10s.
func parseInterval(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("bad duration %q: want something like 10s or 1m", text)
	}
	return d, nil
}
