package deb

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"
)

// archiveKeys are the fingerprints of the Debian archive's primary keys. A
// key found on the host or on a mirror counts only if it is one of these.
func archiveKeys() map[string]string {
	return map[string]string{
		"04B54C3CDCA79751B16BC6B5225629DF75B188BD": "Debian Archive Automatic Signing Key (13/trixie)",
		"5E04A1E3223A19A20706E20F9904613D4CCE68C6": "Debian Security Archive Automatic Signing Key (13/trixie)",
		"41587F7DB8C774BCCF131416762F67A0B2C39DE4": "Debian Stable Release Key (13/trixie)",
		"B8B80B5B623EAB6AD8775C45B7C5D7D6350947F8": "Debian Archive Automatic Signing Key (12/bookworm)",
		"05AB90340C0C5E797F44A8C8254CF3B5AEC0A8F0": "Debian Security Archive Automatic Signing Key (12/bookworm)",
		"4D64FEC119C2029067D6E791F8D2585B8783D481": "Debian Stable Release Key (12/bookworm)",
	}
}

// hostKeyrings are the folders where Debian and its relatives keep keys.
func hostKeyrings() []string { return []string{"/usr/share/keyrings", "/etc/apt/trusted.gpg.d"} }

// maxKeyring bounds one keyring file, in bytes.
const maxKeyring = 4 << 20

// Keyring holds the public keys that a Release file may be signed with.
type Keyring struct{ keys openpgp.EntityList }

// Fingerprints lists the primary keys, upper-case hexadecimal, sorted.
func (k Keyring) Fingerprints() []string {
	var out []string
	for _, e := range k.keys {
		out = append(out, fingerprint(e))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func fingerprint(e *openpgp.Entity) string {
	return strings.ToUpper(hex.EncodeToString(e.PrimaryKey.Fingerprint))
}

// ReadKeyrings collects keys: all that lie in dir, where it is not "", and
// the listed archive keys from the host's folders. A file of dir that is no
// keyring is an error; one of the host's is passed over.
func ReadKeyrings(dir string) (Keyring, error) {
	var k Keyring
	if dir != "" {
		if err := k.addFolder(dir, nil); err != nil {
			return k, err
		}
		if len(k.keys) == 0 {
			return k, fmt.Errorf("keyring folder %s holds no OpenPGP key (*.gpg, *.pgp, *.asc)", dir)
		}
	}
	for _, host := range hostKeyrings() {
		if err := k.addFolder(host, archiveKeys()); err != nil {
			return k, err
		}
	}
	return k, nil
}

// addFolder adds the keys of a folder; with a list, only those on it, and
// files that cannot be read as keys do not matter.
func (k *Keyring) addFolder(dir string, listed map[string]string) error {
	names, err := os.ReadDir(dir)
	if err != nil {
		if listed != nil {
			return nil
		}
		return fmt.Errorf("keyring folder: %w", err)
	}
	for _, n := range names {
		if !isKeyring(n.Name()) {
			continue
		}
		data, err := readLimited(filepath.Join(dir, n.Name()), maxKeyring)
		if err == nil {
			err = k.add(data, listed)
		}
		if err != nil && listed == nil {
			return fmt.Errorf("keyring %s: %w", filepath.Join(dir, n.Name()), err)
		}
	}
	return nil
}

func isKeyring(name string) bool {
	return slices.Contains([]string{".gpg", ".pgp", ".asc"}, filepath.Ext(name))
}

// add reads a keyring, binary or armoured, and keeps the listed keys of it
// (all, where listed is nil).
func (k *Keyring) add(data []byte, listed map[string]string) error {
	read := openpgp.ReadKeyRing
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("-----BEGIN PGP")) {
		read = openpgp.ReadArmoredKeyRing
	}
	keys, err := read(bytes.NewReader(data))
	if err != nil {
		return err
	}
	for _, e := range keys {
		if _, ok := listed[fingerprint(e)]; listed == nil || ok {
			k.keys = append(k.keys, e)
		}
	}
	return nil
}

// readLimited reads a regular file of at most limit bytes.
func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("larger than %d bytes", limit)
	}
	return data, err
}
