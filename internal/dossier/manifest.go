package dossier

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"io"
	"regexp"
	"slices"
	"strings"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
)

// MaxManifest bounds package.json, in bytes (FORMATS §1).
const MaxManifest = 16 << 20

const (
	manifestName    = "package.json"
	manifestVersion = 1
)

// Manifest is package.json (FORMATS §11). Nothing signs it: whatever it says is compared with something signed.
type Manifest struct {
	Covers    int64             `json:"covers"` // of the publication of the heads map
	Files     []Listed          `json:"files"`  // every other file, sorted by path
	Grant     evidence.GrantID  `json:"grant"`  // "" for a keyholder's own copy
	Items     []evidence.ItemID `json:"items"`  // sorted
	Nonce     string            `json:"nonce"`  // the court's
	Recipient evidence.Hash     `json:"recipient"`
	Vault     string            `json:"vault"`
	Version   int               `json:"version"`
}

// Listed is a file as lists name it.
type Listed struct {
	Path   string        `json:"path"`
	SHA256 evidence.Hash `json:"sha256"`
	Size   int64         `json:"size"` // bytes
}

// Marshal returns the manifest's one form, canonical JSON: the fields are declared in the order of their names and hold ASCII alone.
func (m Manifest) Marshal() ([]byte, error) {
	if m.Files == nil {
		m.Files = []Listed{}
	}
	if m.Items == nil {
		m.Items = []evidence.ItemID{}
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	b, err := json.Marshal(m)
	if err == nil && len(b) > MaxManifest {
		err = evidence.Refuse(evidence.TooLarge, ReasonManifest)
	}
	return b, err
}

// ParseManifest reads package.json. It accepts exactly what Marshal returns; a newer version is an Unknown error.
func ParseManifest(b []byte) (Manifest, error) {
	var m Manifest
	switch {
	case len(b) > MaxManifest, bytes.Count(b, []byte{','}) > 3*maxFiles+MaxStreams+8: // before any entry takes memory
		return m, evidence.Refuse(evidence.TooLarge, ReasonManifest)
	case custody.Exact(b, &m):
		return m, m.check()
	case newerVersion.Match(b):
		return m, evidence.Refuse(evidence.Unknown, ReasonVersion)
	}
	return m, evidence.Refuse(evidence.Invalid, ReasonManifest)
}

// newerVersion finds the last member of a list of files, which says of which version it is.
var newerVersion = regexp.MustCompile(`,"version":([2-9]|[1-9][0-9]{1,8})}$`)

var nonce = regexp.MustCompile(`^[a-z0-9]{32,64}$`)

func (m Manifest) check() error {
	bad := evidence.Refuse(evidence.Invalid, ReasonManifest)
	switch {
	case m.Version > manifestVersion:
		return evidence.Refuse(evidence.Unknown, ReasonVersion)
	case len(m.Files) > maxFiles:
		return evidence.Refuse(evidence.TooLarge, ReasonManifest)
	case m.Version != manifestVersion, !evidence.ValidOrigin(m.Vault), m.Covers < 0 || m.Covers > 1<<53, m.Recipient.IsZero(), !nonce.MatchString(m.Nonce),
		m.Grant != "" && !evidence.ValidID(m.Grant), len(m.Items) == 0,
		!ascending(m.Items, cmp.Compare[evidence.ItemID]), !ascending(m.Files, func(a, b Listed) int { return strings.Compare(a.Path, b.Path) }):
		return bad
	}
	for _, id := range m.Items {
		if !evidence.ValidID(id) {
			return bad
		}
	}
	for _, f := range m.Files {
		if _, ok := parsePath(f.Path); !ok || f.Size < 0 || f.Size > 1<<53 || f.SHA256.IsZero() {
			return evidence.Refuse(evidence.Invalid, ReasonFileName)
		}
	}
	return nil
}

func ascending[T any](list []T, compare func(a, b T) int) bool {
	for i := 1; i < len(list); i++ {
		if compare(list[i-1], list[i]) >= 0 {
			return false
		}
	}
	return true
}

// ContentDigest is what item.exported signs: SHA-256 of the canonical list of every file that exists before the last events do
// (FORMATS §11), in any order.
func ContentDigest(files []Listed) evidence.Hash {
	byPath := func(a, b Listed) int { return strings.Compare(a.Path, b.Path) }
	if !slices.IsSortedFunc(files, byPath) {
		files = slices.SortedFunc(slices.Values(files), byPath)
	}
	sum, separator := sha256.New(), "["
	for _, f := range files {
		if f.Path == manifestName || strings.HasPrefix(f.Path, "log/") || strings.Contains(f.Path, "/events/") || strings.HasSuffix(f.Path, "/complete.json") {
			continue
		}
		b, err := json.Marshal(f)
		if err != nil {
			panic("dossier: list does not encode: " + err.Error()) // every field is a plain type
		}
		io.WriteString(sum, separator)
		sum.Write(b)
		separator = ","
	}
	if separator == "[" {
		io.WriteString(sum, "[")
	}
	io.WriteString(sum, "]")
	return evidence.Hash(sum.Sum(nil))
}

// path is what a file's name says.
type path struct {
	stream evidence.Stream // of files under items and related
	item   bool            // under items
	name   string          // after the stream's folder; the whole path for all others
}

var (
	otherFiles = regexp.MustCompile(`^(README\.html|VERIFY\.html|log/(checkpoint|heads\.sigstore\.json|consistency\.json|[a-z0-9-]{1,64}\.(tsr|crl)|proofs/[a-z0-9-]{1,80}\.tlog-proof)|trust/(trusted_root\.json|witness_policy|signers/[0-9a-f]{64}\.pub)|tools/verify\.py)$`)
	// What lies beside the receipts of time-stamp authorities, by the name that the vault has for one.
	stampFiles      = regexp.MustCompile(`^log/([1-9][0-9]{0,15})-([a-z0-9-]{1,32})\.tsr$`)
	revocationFiles = regexp.MustCompile(`^log/([a-z0-9-]{1,32})\.crl$`)
	streamFiles     = regexp.MustCompile(`^(complete\.json|events/[0-9]{6}\.(sigstore|withheld)\.json)$`)
	itemFiles       = regexp.MustCompile(`^(evidence\.age|description(\.[1-9][0-9]{0,5})?\.age|key\.age|notes/[0-9]{6}-[a-z_]{1,32}\.age)$`)
)

// parsePath accepts the names of FORMATS §11, and no others: a file that nothing explains has no place in a package.
func parsePath(s string) (p path, ok bool) {
	parts := strings.SplitN(s, "/", 4)
	switch {
	case len(s) > maxName:
		return p, false
	case otherFiles.MatchString(s):
		return path{name: s}, true
	case len(parts) >= 3 && parts[0] == "items":
		id := evidence.ItemID(parts[1])
		p = path{evidence.ItemOf(id), true, strings.Join(parts[2:], "/")}
		return p, evidence.ValidID(id) && (streamFiles.MatchString(p.name) || itemFiles.MatchString(p.name))
	case len(parts) == 4 && parts[0] == "related":
		stream, err := evidence.ParseStream(parts[2], parts[1], parts[2])
		p = path{stream, false, parts[3]}
		return p, err == nil && stream.Type != evidence.VaultStream && streamFiles.MatchString(p.name)
	}
	return p, false
}

// folder is where a stream's files are.
func folder(s evidence.Stream, item bool) string {
	if item {
		return "items/" + s.ID + "/"
	}
	return "related/" + string(s.Type) + "/" + s.ID + "/"
}
