package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

// What makes a backup of no use, for errors.Is.
var (
	ErrNoBackup      = errors.New("there is no finished backup in this folder")
	ErrForeignBackup = errors.New("this folder holds something else, or the backup of another vault")
	ErrAltered       = errors.New("the backup was altered or is not whole")
	ErrErased        = errors.New("its envelopes, labels and notes have expired and were erased, so it opens nothing; what is left proves the history: strongroomd rebuild makes records of its log.db")
)

// A backup's folder keeps one vault's snapshots, and every object once:
//
//	<to>/backup.json          whose it is
//	<to>/objects/             ciphertext, a store of its own: create-only
//	<to>/snapshots/<time>/    one for each backup; a name that ends in .unfinished is none
type backupFolder string

func (f backupFolder) path(name ...string) string {
	return filepath.Join(append([]string{string(f)}, name...)...)
}

func (f backupFolder) snapshot(name string) folder { return folder(f.path("snapshots", name)) }

// The files of a snapshot beside those of a vault's folder. What may be erased is apart from what stays: whoever copies backups
// elsewhere for good leaves erasable.db out.
const (
	manifestFile = "manifest.json"
	erasableFile = "erasable.db" // the bytes of envelopes, labels, notes and descriptions
	unfinished   = ".unfinished"
)

// Manifest says what a snapshot holds. It is written last.
type Manifest struct {
	Version int            `json:"version"` // 1
	Vault   string         `json:"vault"`
	Taken   time.Time      `json:"taken"`    // before anything was copied
	LogSize int64          `json:"log_size"` // leaves
	Objects int64          `json:"objects"`  // that its items name
	Horizon int64          `json:"horizon"`  // the policy's backup_horizon, seconds
	Files   []ManifestFile `json:"files"`    // by path
}

// ManifestFile is one file of a snapshot.
type ManifestFile struct {
	Path   string        `json:"path"` // with slashes
	Size   int64         `json:"size"`
	SHA256 evidence.Hash `json:"sha256"`
}

// window is how long the erasable part of a snapshot is kept: nine tenths of the horizon that events state (RULES §3.6), so that the
// promise holds where backups are made every day or two, since only making one removes what has expired.
func window(horizon int64) time.Duration { return time.Duration(horizon) * time.Second * 9 / 10 }

// snapshotFiles are the files that a manifest lists: those that are true always, the others where the vault has them.
var snapshotFiles = map[string]bool{
	"checkpoint": true, erasableFile: true, "log.db": true, "records.db": true, "trust.json": true, "vault.json": true,
	"keys/passphrase": false, "organizations.json": false, "strongroomd.yaml": false,
}

// snapshotFile reports whether a manifest may list a file. Keys have the names that vault.json gives them, and may be in a KMS.
func snapshotFile(path string) bool {
	_, known := snapshotFiles[path]
	key, isKey := strings.CutPrefix(path, "keys/")
	return known || isKey && keyFile.MatchString(key)
}

// readManifest reads what backup wrote, byte for byte.
func (f folder) readManifest() (Manifest, error) {
	m, err := readDocument[Manifest](f.path(manifestFile))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return m, fmt.Errorf("%w: the manifest is missing", ErrAltered)
	case errors.Is(err, errDocument):
		return m, fmt.Errorf("%w: the manifest cannot be read", ErrAltered)
	}
	return m, err
}

// valid demands that the manifest vouches for every file that is restored, and for no other.
func (m Manifest) valid() bool {
	listed := make(map[string]bool)
	for i, file := range m.Files {
		if !snapshotFile(file.Path) || file.Size < 0 || i > 0 && m.Files[i-1].Path >= file.Path {
			return false
		}
		listed[file.Path] = true
	}
	for path, always := range snapshotFiles {
		if always && !listed[path] {
			return false
		}
	}
	return m.Version == 1 && evidence.ValidOrigin(m.Vault) && isUTC(m.Taken) && m.LogSize >= 0 && m.Objects >= 0 && m.Horizon > 0
}

func (m Manifest) marshal() []byte {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		panic(err) // no such value
	}
	return append(text, '\n')
}

// check compares every file of a snapshot with its manifest.
func (f folder) check(ctx context.Context, m Manifest) error {
	for _, want := range m.Files {
		have, err := digest(ctx, f.path(filepath.FromSlash(want.Path)))
		switch {
		case errors.Is(err, os.ErrNotExist) && want.Path == erasableFile:
			return ErrErased
		case errors.Is(err, os.ErrNotExist):
			return fmt.Errorf("%w: %s is missing", ErrAltered, want.Path)
		case err != nil:
			return err
		case have.Size != want.Size || have.SHA256 != want.SHA256:
			return fmt.Errorf("%w: %s is not the file that was written", ErrAltered, want.Path)
		}
	}
	return nil
}

// digest reads a file. Its Path is left empty.
func digest(ctx context.Context, path string) (ManifestFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return ManifestFile{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, reading{ctx, f})
	return ManifestFile{Size: n, SHA256: evidence.Hash(h.Sum(nil))}, err
}

// reading ends with its context.
type reading struct {
	ctx context.Context
	r   io.Reader
}

func (r reading) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// manifest lists the files of a snapshot.
func (f folder) manifest(ctx context.Context, m Manifest) (Manifest, error) {
	err := filepath.WalkDir(string(f), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		file, err := digest(ctx, path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(string(f), path)
		file.Path = filepath.ToSlash(name)
		m.Files = append(m.Files, file)
		return err
	})
	slices.SortFunc(m.Files, func(a, b ManifestFile) int { return strings.Compare(a.Path, b.Path) })
	return m, err
}

// snapshots lists the finished ones, the oldest first.
func (f backupFolder) snapshots() ([]string, error) {
	list, err := os.ReadDir(f.path("snapshots"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrNoBackup
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range list {
		if entry.IsDir() && !strings.HasSuffix(entry.Name(), unfinished) {
			names = append(names, entry.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// owner is what backup.json says.
type owner struct {
	Vault string `json:"vault"`
}

func (o owner) marshal() []byte { return line(o) }
func (o owner) valid() bool     { return evidence.ValidOrigin(o.Vault) }

// claim makes the folder the backup of this vault, or finds that it is. An empty or missing folder becomes one.
func (f backupFolder) claim(vault string) error {
	of, err := readDocument[owner](f.path("backup.json"))
	if errors.Is(err, os.ErrNotExist) {
		list, err := os.ReadDir(string(f))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if len(list) > 0 && !(len(list) == 1 && list[0].Name() == "snapshots") { // what an interrupted claim leaves
			return ErrForeignBackup
		}
		if err := os.MkdirAll(f.path("snapshots"), 0o700); err != nil {
			return err
		}
		return writeFile(f.path("backup.json"), owner{vault}.marshal(), 0o600)
	}
	if errors.Is(err, errDocument) || err == nil && of.Vault != vault {
		return ErrForeignBackup
	}
	return err
}
