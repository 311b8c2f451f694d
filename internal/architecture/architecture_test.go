// Package architecture holds the rules about packages that no compiler checks: who may import whom, and what the core never calls.
package architecture

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "strongroom.example/strongroom/"

// pkg is what go list says of a package of ours, tests left out.
type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func packages(t *testing.T) map[string]pkg { return list(t, nil, "./...") }

// inBrowser are the programs that are built for browsers.
func inBrowser(t *testing.T) map[string]pkg {
	return list(t, []string{"GOOS=js", "GOARCH=wasm"}, "./cmd/strongroom-web", "./cmd/strongroom-verify")
}

func list(t *testing.T, platform []string, patterns ...string) map[string]pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,Deps"}, patterns...)...)
	cmd.Dir, cmd.Env = "../..", append(os.Environ(), platform...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	all := make(map[string]pkg)
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimPrefix(p.ImportPath, module)] = p
	}
}

// within reports whether an import path is one of the listed packages or lies below one.
func within(path string, list []string) bool {
	return slices.ContainsFunc(list, func(l string) bool { return path == l || strings.HasPrefix(path, l+"/") })
}

// core is what a verifier needs. Everything below it is the standard library and few others.
var core = []string{"evidence", "custody", "tlog", "heads", "sealing", "ageheader", "dossier"}

// mayImport lists, for each package, which of ours it imports directly, and why no more.
var mayImport = []struct {
	pkg  string
	ours []string
	why  string
}{
	{"evidence", nil, "the law stands on nothing: server and verifier must judge alike"},
	{"custody", []string{"evidence"}, "a statement is evidence, signed"},
	{"tlog", nil, "log proofs are about bytes, whatever they mean"},
	{"heads", nil, "a map of hashes"},
	{"ageheader", nil, "read by the blind server too"},
	{"sealing", []string{"evidence", "ageheader"}, "encryption knows no log and no network"},
	{"dossier", []string{"evidence", "custody", "tlog", "heads", "sealing", "ageheader"}, "a package verifies offline"},
	{"keys", []string{"custody", "tlog"}, "signers only"},
	{"square", nil, "a picture of a text"},
	{"trail", nil, "what a call is told apart by goes through everything and knows nothing of it"},
	{"telemetry", []string{"trail"}, "numbers and traces are made of names, and nobody below knows by whom"},
	{"installed", nil, "programs of others, for tests and the demonstration"},
	{"postgresql", []string{"installed"}, "a server for tests and the demonstration, whoever uses it"},
	{"logserver", []string{"installed"}, "servers for tests and the demonstration, whoever uses them"},
	{"ceremony", []string{"evidence", "sealing", "square", "tlog"}, "splits a key offline: no client, no network"},
	{"timestamping", []string{"tlog"}, "asks authorities about bytes, whatever they mean"},
	{"ledger", []string{"evidence", "custody", "tlog", "heads", "trail"}, "the only path to the log knows no storage"},
	{"objects", nil, "the stores' vocabulary"},
	{"objects/versitygw", []string{"installed"}, "a store knows nothing of the vault that uses it"},
	{"objects/fs", []string{"objects"}, "adapters know their port only"},
	{"objects/s3", []string{"objects"}, "adapters know their port only"},
	{"omniwitness", []string{"installed"}, "a witness knows nothing of the vault that it watches"},
	{"config", nil, "what an operator wrote, not what is made of it"},
	{"program", []string{"evidence"}, "a name, a version, a digest"},
	{"translog", []string{"tlog"}, "adapters know their port only"},
	{"translog/embedded", []string{"tlog", "translog"}, "adapters know their port only"},
	{"translog/remote", []string{"tlog", "translog"}, "adapters know their port only"},
	{"vault", []string{"evidence", "custody", "tlog", "ledger", "heads", "ageheader", "objects"}, "the server is blind: no sealing, no client"},
	{"auth", []string{"evidence", "custody"}, "who is signed in"},
	{"sqldb", []string{"evidence", "custody", "tlog", "heads", "ledger", "vault", "auth", "trail"}, "records satisfy the ports of those three"},
	{"httpapi", []string{"evidence", "vault", "auth", "wire", "objects", "ledger", "heads", "trail"}, "the edge calls use cases"},
	{"wire", nil, "generated from the contract"},
	{"browser", nil, "what a browser gives a program, whatever it is for"},
	{"web", nil, "pages are files: what they say is worked out in the browser"},
	{"forms", []string{"evidence"}, "documents are judged without knowing where they lie"},
	{"scan", nil, "a look at plaintext needs nothing of ours"},
	{"words", nil, "what people are told knows no case"},
	{"audit", []string{"evidence", "custody", "tlog", "heads"}, "who follows a log from outside judges signed bytes; how they come is another's business"},
	{"client", []string{"evidence", "custody", "tlog", "heads", "sealing", "dossier", "audit", "ceremony", "forms", "scan", "square", "wire"}, "what command line and browser share"},
}

func TestImportDirection(t *testing.T) {
	all := packages(t)
	for _, rule := range mayImport {
		p, ok := all["internal/"+rule.pkg]
		if !ok {
			t.Errorf("%s is in the table, but gone", rule.pkg)
			continue
		}
		for _, i := range p.Imports {
			ours, ok := strings.CutPrefix(i, module+"internal/")
			if ok && !slices.Contains(rule.ours, ours) && !strings.HasPrefix(ours, rule.pkg+"/internal") {
				t.Errorf("%s imports %s: %s", rule.pkg, ours, rule.why)
			}
		}
	}
}

type reach struct {
	from      []string
	forbidden []string
	why       string
}

// neverReaches lists what a program or package must not link, even indirectly.
var neverReaches = []reach{
	{[]string{"cmd/strongroomd", "internal/daemon", "internal/httpapi", "internal/vault", "internal/ledger", "internal/sqldb", "internal/objects/fs", "internal/objects/s3", "internal/translog/embedded", "internal/translog/remote"},
		[]string{"filippo.io/age", module + "internal/sealing", module + "internal/client", module + "internal/dossier"},
		"the server can open nothing, because it holds nothing that opens"},
	{[]string{"cmd/strongroom-verify", "internal/dossier"},
		[]string{"net/http", "database/sql", "github.com/gin-gonic/gin", "github.com/minio", "github.com/google/trillian", "github.com/sigstore/sigstore", "google.golang.org/grpc", "modernc.org",
			module + "internal/client", module + "internal/vault", module + "internal/wire"},
		"a court's verifier is small and needs no network"},
	{[]string{"internal/client"}, []string{"github.com/sigstore/sigstore", "github.com/gin-gonic/gin", "modernc.org", "github.com/google/trillian", "github.com/spf13/cobra"},
		"the browser runs it too"},
	{[]string{"internal/vault", "internal/ledger", "internal/sqldb", "internal/objects/fs", "internal/trail", "internal/httpapi"},
		[]string{"github.com/prometheus", "go.opentelemetry.io", module + "internal/telemetry"},
		"what is watched does not know by whom"},
	{[]string{"internal/wire"}, []string{"github.com/gin-gonic/gin"}, "clients do not carry the server's framework"},
	{[]string{"internal/web"}, []string{"filippo.io/age", "github.com/gin-gonic/gin", "golang.org/x/net", "html/template"},
		"it serves files that are ready: it fills in nothing, and the verifier that it carries is one of them"},
	{[]string{"cmd/strongroomd", "internal/translog/embedded", "internal/translog/remote"},
		[]string{"github.com/google/trillian/cmd", "github.com/google/trillian/quota/etcd", "github.com/google/trillian/storage/postgresql", "go.etcd.io/etcd",
			module + "internal/logserver", module + "internal/postgresql", module + "internal/omniwitness"},
		"Trillian's programs and engines run elsewhere, and who starts them here does so for tests and the demonstration"},
}

// inBrowsers is the same for what is built for browsers, which reaches other things there.
var inBrowsers = []reach{
	{[]string{"cmd/strongroom-web"},
		[]string{"github.com/sigstore/sigstore", "github.com/gin-gonic/gin", "modernc.org", "github.com/google/trillian", "google.golang.org/grpc", "github.com/minio", "github.com/spf13/cobra",
			module + "internal/vault", module + "internal/httpapi", module + "internal/daemon", module + "internal/keys", module + "internal/words"},
		"everybody who opens a page waits for it"},
	{[]string{"cmd/strongroom-verify"}, []string{"net/http", module + "internal/client", module + "internal/wire"}, "in a browser, too, a court's verifier needs no network"},
}

func TestNeverReaches(t *testing.T) {
	neverReach(t, packages(t), neverReaches)
	neverReach(t, inBrowser(t), inBrowsers)
}

func neverReach(t *testing.T, all map[string]pkg, rules []reach) {
	for _, rule := range rules {
		for _, from := range rule.from {
			p, ok := all[from]
			if !ok {
				t.Errorf("%s is in the table, but gone", from)
				continue
			}
			for _, d := range p.Deps {
				if within(d, rule.forbidden) {
					t.Errorf("%s reaches %s: %s", from, d, rule.why)
				}
			}
		}
	}
}

// onlyIn lists libraries that one package alone imports, so that each can be exchanged in one place.
var onlyIn = map[string][]string{
	"github.com/gin-gonic/gin":     {"internal/httpapi"},
	"github.com/google/trillian":   {"internal/translog"},
	"go.etcd.io/bbolt":             {"internal/translog/embedded"},
	"modernc.org/sqlite":           {"internal/sqldb"},
	"github.com/sigstore/sigstore": {"internal/keys"},
	"filippo.io/age":               {"internal/sealing"},
	"filippo.io/mldsa":             {"internal/keys"},
	// Its checks, and the parsers below them, without its server: what a court's verifier and the browser need of RFC 3161.
	"github.com/sigstore/timestamp-authority": {"internal/tlog"},
	"github.com/digitorus":                    {"internal/timestamping"},
	"github.com/tus/tusd":                     {"internal/httpapi"},
	"github.com/minio/minio-go":               {"internal/objects/s3"},
	"go.yaml.in/yaml":                         {"internal/config"},
	"github.com/nicksnyder/go-i18n":           {"internal/words"},
	"github.com/cloudflare/circl":             {"internal/ceremony"},
	"rsc.io/qr":                               {"internal/square"},
	"github.com/prometheus":                   {"internal/telemetry"},
	"go.opentelemetry.io":                     {"internal/telemetry"},
}

func TestLibrariesStayInTheirPackage(t *testing.T) {
	for name, p := range packages(t) {
		for _, i := range p.Imports {
			for library, homes := range onlyIn {
				if within(i, []string{library}) && !within(name, homes) {
					t.Errorf("%s imports %s, which belongs to %s", name, i, strings.Join(homes, ", "))
				}
			}
		}
	}
}

// The core is told the time; it never asks.
func TestCoreHasNoClock(t *testing.T) {
	for _, name := range slices.Concat(core, []string{"ledger", "vault", "auth"}) {
		dir := filepath.Join("..", name)
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			files := token.NewFileSet()
			f, err := parser.ParseFile(files, path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(f, func(n ast.Node) bool {
				call, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if x, ok := call.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Until"}, call.Sel.Name) {
					t.Errorf("%s: time.%s in the core", files.Position(call.Pos()), call.Sel.Name)
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
