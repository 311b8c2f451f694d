package campaign

import (
	"bufio"
	"encoding/hex"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// disk is a folder as the kernel shows it, and what of it has reached the disk.
type disk struct {
	testing.TB
	root  string
	dice  *rand.Rand
	names map[string]*node  // by path; with those that the kernel only remembers
	kept  map[string]*node  // those that the disk has
	moves map[string][]move // by folder: changes that the disk may not have yet, oldest first
	at    map[string]int64  // by file descriptor: where the next write goes
	began map[string]begun  // by thread
	syncs int
}

// begun is a system call that has not ended.
type begun struct {
	call string
	upto int // how much is durable after it, if it is an fsync
}

// node is a file, or a folder.
type node struct {
	folder  bool
	content []byte // that the disk has
	size    int64  // of what the kernel shows
	writes  []write
	done    int // writes, or changes of names in it, that the disk has
}

// write is bytes at an offset; or, without bytes, a new size.
type write struct {
	at    int64
	bytes []byte
}

// move gives a node a name and takes another one away; either may be "".
type move struct {
	from, to string
	node     *node
}

// newDisk is a folder that lies still.
func newDisk(t testing.TB, root string, seed uint64) *disk {
	t.Helper()
	d := &disk{TB: t, root: root, dice: rand.New(rand.NewPCG(seed, 200)), names: make(map[string]*node), moves: make(map[string][]move), at: make(map[string]int64), began: make(map[string]begun)}
	check(t, filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		n := &node{folder: err == nil && e.IsDir()}
		if err == nil && !n.folder {
			n.content, err = os.ReadFile(path)
			n.size = int64(len(n.content))
		}
		d.names[path] = n
		return err
	}))
	d.kept = maps.Clone(d.names)
	return d
}

// cut writes to a folder what is left without power: of what was not made durable nothing, or parts in any order.
func (d *disk) cut(dir string, parts bool) {
	d.Helper()
	names := maps.Clone(d.kept)
	for _, folder := range slices.Sorted(maps.Keys(d.moves)) {
		for _, m := range d.moves[folder] {
			if parts && d.dice.IntN(2) == 0 {
				m.apply(names)
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(names)) {
		n, to := names[path], filepath.Join(dir, strings.TrimPrefix(path, d.root))
		switch _, there := names[filepath.Dir(path)]; {
		case path == d.root:
		case !there: // its folder's name is lost
			delete(names, path)
		case n.folder:
			check(d, os.Mkdir(to, 0o700))
		default:
			content := slices.Clone(n.content)
			for _, w := range n.writes {
				if parts && d.dice.IntN(2) == 0 {
					content = w.torn(d.dice).apply(content)
				}
			}
			check(d, os.WriteFile(to, content, 0o600))
		}
	}
}

func (m move) apply(names map[string]*node) {
	delete(names, m.from)
	if m.to != "" {
		names[m.to] = m.node
	}
}

// torn is a write of which at times only some sectors arrive.
func (w write) torn(dice *rand.Rand) write {
	if len(w.bytes) > 512 && dice.IntN(2) == 0 {
		w.bytes = w.bytes[:512*(1+dice.IntN(len(w.bytes)/512))]
	}
	return w
}

func (w write) apply(content []byte) []byte {
	end := w.at + int64(len(w.bytes))
	if grow := end - int64(len(content)); grow > 0 {
		content = append(content, make([]byte, grow)...)
	}
	copy(content[w.at:], w.bytes)
	if w.bytes == nil {
		content = content[:w.at]
	}
	return content
}

// replay does again what was traced, and calls cut at each knock.
func (d *disk) replay(trace *bufio.Reader, cut func()) {
	d.Helper()
	for {
		text, err := trace.ReadString('\n')
		if err == io.EOF {
			return
		}
		check(d, err)
		who, call, _ := strings.Cut(strings.TrimSuffix(text, "\n"), " ")
		if call = strings.TrimLeft(call, " "); strings.HasPrefix(call, "+++") {
			continue
		}
		if _, rest, resumed := strings.Cut(call, " resumed>"); resumed {
			call = d.began[who].call + rest
		} else {
			start, unfinished := strings.CutSuffix(call, " <unfinished ...>")
			d.began[who] = begun{start, d.found(start)}
			if unfinished {
				continue
			}
		}
		end := strings.LastIndex(call, " = ")
		name, args, ok := strings.Cut(call[:max(end, 0)], "(")
		args, closed := strings.CutSuffix(strings.TrimRight(args, " "), ")")
		if !ok || !closed {
			d.Fatalf("the trace cannot be read: %.200s", call)
		}
		result := call[end+len(" = "):]
		_, from, _ := strings.Cut(args, "inet_addr(")
		switch {
		case strings.HasPrefix(result, "-") || result == "?": // it failed, or the process ended
		case name == "accept4":
			if d.text(from) == stranger {
				cut()
			}
		default:
			d.do(name, strings.Split(args, ", "), result, d.began[who].upto)
		}
	}
}

// found is how much will be durable when an fsync that begins has ended.
func (d *disk) found(call string) int {
	name, args, _ := strings.Cut(call, "(")
	if name != "fsync" && name != "fdatasync" {
		return 0
	}
	path := d.file(strings.TrimSuffix(strings.Split(args, ")")[0], ","))
	n := d.names[path]
	switch {
	case n == nil:
		return 0
	case n.folder:
		return n.done + len(d.moves[path])
	}
	return n.done + len(n.writes)
}

// file is the path of a file descriptor, "" if it is not in the folder or has no name any more.
func (d *disk) file(arg string) string {
	if path := d.text(arg); d.inside(path) {
		return path
	}
	return ""
}

func (d *disk) inside(path string) bool {
	return path == d.root || strings.HasPrefix(path, d.root+"/")
}

// path is that of a name which two arguments say.
func (d *disk) path(folder, name string) string {
	d.Helper()
	path := d.text(name)
	if !filepath.IsAbs(path) {
		path = filepath.Join(d.text(folder), path)
	}
	if !filepath.IsAbs(path) {
		d.Fatalf("the trace has a name that cannot be told: %q of %q", path, folder)
	}
	return filepath.Clean(path)
}

// text is what -xx says in an argument, of a string or of the path of a file descriptor.
func (d *disk) text(arg string) string {
	d.Helper()
	from := strings.IndexAny(arg, `"<`)
	if from < 0 {
		return ""
	}
	arg = arg[from+1:]
	return string(must(hex.DecodeString(strings.ReplaceAll(arg[:max(0, strings.IndexAny(arg, `">`))], `\x`, "")))(d))
}

func (d *disk) number(arg string) int64 {
	d.Helper()
	return must(strconv.ParseInt(arg, 0, 64))(d)
}

// change moves names, for the kernel at once.
func (d *disk) change(m move) {
	d.Helper()
	folder := filepath.Dir(m.to)
	if m.to == "" {
		folder = filepath.Dir(m.from)
	}
	if !d.inside(folder) {
		return
	}
	if m.from != "" && m.to != "" && (filepath.Dir(m.from) != folder || m.node == nil || m.node.folder) {
		d.Fatalf("the disk knows nothing of moves from folder to folder: %s", m.from)
	}
	m.apply(d.names)
	d.moves[folder] = append(d.moves[folder], m)
}

// do does one call that succeeded.
func (d *disk) do(call string, args []string, result string, upto int) {
	d.Helper()
	file := d.file(args[0])
	n := d.names[file]
	if file == "" {
		n = nil
	}
	put := func(w write) {
		n.writes = append(n.writes, w)
		if end := w.at + int64(len(w.bytes)); end > n.size || w.bytes == nil {
			n.size = end
		}
	}
	fd, _, _ := strings.Cut(args[0], "<")
	switch call {
	case "open", "openat":
		flags := args[slices.IndexFunc(args, func(s string) bool { return strings.HasPrefix(s, "O_") })]
		path := d.file(result)
		if path == "" {
			return
		}
		if strings.Contains(flags, "O_CREAT") && d.names[path] == nil {
			d.change(move{to: path, node: &node{}})
		}
		if n = d.names[path]; n == nil {
			d.Fatalf("%s was opened, and is not there", path)
		}
		fd, _, _ := strings.Cut(result, "<")
		d.at[fd] = 0
		if strings.Contains(flags, "O_APPEND") {
			d.at[fd] = n.size
		}
		if strings.Contains(flags, "O_TRUNC") {
			put(write{})
		}
	case "lseek":
		d.at[fd] = d.number(result)
	case "write", "pwrite64":
		if n == nil {
			return
		}
		b := []byte(d.text(args[1]))[:d.number(result)]
		if call == "pwrite64" {
			put(write{d.number(args[3]), b})
		} else {
			put(write{d.at[fd], b})
			d.at[fd] += int64(len(b))
		}
	case "ftruncate":
		if n != nil {
			put(write{at: d.number(args[1])})
		}
	case "fsync", "fdatasync":
		d.sync(file, n, upto)
	case "mkdir", "mkdirat":
		folder, name := at(args)
		d.change(move{to: d.path(folder, name), node: &node{folder: true}})
	case "unlink", "rmdir", "unlinkat":
		folder, name := at(args)
		d.change(move{from: d.path(folder, name)})
	case "link", "rename":
		d.rename(call == "rename", d.path("", args[0]), d.path("", args[1]))
	case "linkat", "renameat", "renameat2":
		d.rename(call != "linkat", d.path(args[0], args[1]), d.path(args[2], args[3]))
	case "mmap":
		if p := d.file(args[4]); p != "" && strings.Contains(args[2], "PROT_WRITE") && strings.Contains(args[3], "MAP_SHARED") && !strings.HasSuffix(p, "-shm") {
			d.Fatalf("%s is written through memory, of which the disk knows nothing", p)
		}
	default:
		for _, arg := range args {
			if d.file(arg) != "" {
				d.Fatalf("the disk knows nothing of %s", call)
			}
		}
	}
}

// at is the folder and name that the arguments begin with.
func at(args []string) (folder, name string) {
	if strings.HasPrefix(args[0], `"`) {
		return "", args[0]
	}
	return args[0], args[1]
}

func (d *disk) rename(away bool, from, to string) {
	d.Helper()
	if !d.inside(to) {
		return
	}
	if filepath.Base(to) == "operator.sock" { // the only socket: there is nothing of it on a disk
		return
	}
	m := move{to: to, node: d.names[from]}
	if m.node == nil {
		d.Fatalf("%s gets a name, and is not there", from)
	}
	if away {
		m.from = from
	}
	d.change(m)
}

// sync makes durable what there was when it began; another one may have ended meanwhile.
func (d *disk) sync(path string, n *node, upto int) {
	if n == nil {
		return
	}
	d.syncs++
	for ; n.done < upto; n.done++ {
		if n.folder {
			d.moves[path][0].apply(d.kept)
			d.moves[path] = d.moves[path][1:]
		} else {
			n.content = n.writes[0].apply(n.content)
			n.writes = n.writes[1:]
		}
	}
}
