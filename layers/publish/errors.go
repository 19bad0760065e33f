package publish

import "errors"

// Errors that callers tell apart.
var (
	// ErrNoTag is a tag, or a whole repository, that is not there.
	ErrNoTag = errors.New("no such tag")
	// ErrNotFound is a manifest or blob that is not there.
	ErrNotFound = errors.New("not found")
	// ErrPermission is a refused credential.
	ErrPermission = errors.New("permission denied")
	// ErrMoved is a tag that never moves and holds another digest: the build
	// is not reproducible.
	ErrMoved = errors.New("not reproducible")
	// ErrPlatforms is a push that would take platforms away from a tag.
	ErrPlatforms = errors.New("platforms would be lost")
	// ErrChanged is a tag that somebody else moved in the meantime.
	ErrChanged = errors.New("moved by somebody else in the meantime")
	// ErrReadBack is a destination that does not serve what it was given.
	ErrReadBack = errors.New("not served as it was written")
	// ErrUsage is a destination or reference that does not parse.
	ErrUsage = errors.New("bad reference")
	// ErrUnreadable is a manifest of a form, or a statement of a size, that is
	// not read.
	ErrUnreadable = errors.New("not readable")
	// ErrCorrupt is content that does not have its digest.
	ErrCorrupt = errors.New("content does not match its digest")
)
