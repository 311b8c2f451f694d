// Package web is what browsers get: pages, their modules, styles and words, verifier and client as WebAssembly, all embedded, and the security
// headers of every answer outside the API. It also makes the verifier as one file that works without a network.
//
// It assumes nothing of who asks: nothing here is secret, and nothing depends on a session. It never reads a request's body, never answers
// anything but GET and HEAD, and never lets a page load a script that is not a file of its own.
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

//go:embed assets words built
var files embed.FS

// What ./scripts/build puts into the folder built.
const (
	programFile = "verify.wasm.gz" // the verifier, compressed
	clientFile  = "client.wasm.gz" // the client, compressed
	runtimeFile = "wasm_exec.js"   // Go's own part of running them
)

// buildsFile is the module that names the programs.
const buildsFile = "builds.js"

// policy is the Content-Security-Policy of what is served: nothing but files of this server, no inline code, and no text that becomes markup
// or a script's address except through the modules' one policy of that name. Pictures are the page's own mark, which stands in it, and pictures,
// sound and film that the client opened: these come from the page's own memory (blob:) and are asked of nobody. Nothing runs from there.
const policy = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src data: blob:; media-src blob:; connect-src 'self'; worker-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types strongroom"

// headers are on every answer.
var headers = map[string]string{
	"Content-Security-Policy":      policy,
	"Cache-Control":                "no-cache", // kept, and asked for again: pages and modules of one version belong together
	"Cross-Origin-Embedder-Policy": "require-corp",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Permissions-Policy":           "camera=(), geolocation=(), microphone=()",
	"Referrer-Policy":              "no-referrer",
	"X-Content-Type-Options":       "nosniff",
	"X-Frame-Options":              "DENY", // for browsers that do not know frame-ancestors
}

// types are those of the files there are; a file of another kind is a mistake in this package.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".wasm": "application/wasm",
}

// file is one answer, in the forms in which it can be sent.
type file struct {
	kind   string // Content-Type
	body   []byte // nil if it has to be unpacked
	packed []byte // by gzip; nil if that does not make it smaller
	tag    string // ETag, without its quotation marks
	name   string // under which browsers keep it; "" for a file that is shown
}

// routes are the addresses of the application: one page, whose modules show what belongs to the address, to whom it belongs.
var routes = []string{"/", "/join", "/lost", "/about", "/court", "/court/view", "/k", "/k/share", "/k/key", "/k/invite", "/m", "/a"}

// sendTime bounds an answer: the largest one takes it at 150 kbit/s.
const sendTime = 4 * time.Minute

// Pages answers everything that is not the API. It is safe for concurrent use.
type Pages struct {
	files   map[string]file
	nowhere []byte
}

// builds are the digests of the two programs, "" for one that there is not: pages show them, so that they can be compared with the record book's.
type builds struct {
	Client   string `json:"client,omitempty"`
	Verifier string `json:"verifier,omitempty"`
}

// module is what pages import.
func (b builds) module() (string, error) {
	text, err := json.Marshal(b)
	return "/** @type {{client?: string, verifier?: string}} */\nexport const builds = " + string(text) + ";\n", err
}

// unpacked is the digest of a packed program as browsers run it; "" of none.
func unpacked(packed []byte) (string, error) {
	if packed == nil {
		return "", nil
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return "", err
	}
	h := sha256.New()
	_, err = io.Copy(h, r) //#nosec G110 -- our own build, embedded
	return hex.EncodeToString(h.Sum(nil)), err
}

// Programs are the SHA-256 digests, in hex, of the programs that this build has for browsers, unpacked: what a browser runs, and what
// ./scripts/build makes again. A build without them has none.
func Programs() (digests []string, _ error) {
	for _, name := range []string{clientFile, programFile} {
		packed, err := files.ReadFile("built/" + name)
		if err != nil {
			continue
		}
		digest, err := unpacked(packed)
		if err != nil {
			return nil, fmt.Errorf("web: %s: %w", name, err)
		}
		digests = append(digests, digest)
	}
	return digests, nil
}

// New prepares all answers once. A build without the programs has the pages, which say so.
func New() (*Pages, error) {
	program, runtime, err := verifier(files)
	if err != nil {
		return nil, err
	}
	client, err := files.ReadFile("built/" + clientFile)
	if err != nil {
		client = nil
	}
	return newPages(program, client, runtime)
}

func newPages(program, client, runtime []byte) (*Pages, error) {
	p := &Pages{files: make(map[string]file)}
	assets, err := files.ReadDir("assets")
	if err != nil {
		return nil, err
	}
	for _, a := range assets {
		body, err := files.ReadFile("assets/" + a.Name())
		if err != nil {
			return nil, err
		}
		if err := p.add("/assets/"+a.Name(), body); err != nil {
			return nil, err
		}
	}
	p.files["/verify"] = p.files["/assets/verify.html"]
	for _, route := range routes {
		p.files[route] = p.files["/assets/app.html"]
	}
	delete(p.files, "/assets/verify.html")
	delete(p.files, "/assets/app.html")
	words, err := wordsModule()
	if err != nil {
		return nil, err
	}
	if err := p.add("/assets/words.js", words); err != nil {
		return nil, err
	}
	var b builds
	if b.Client, err = unpacked(client); err != nil {
		return nil, err
	}
	if b.Verifier, err = unpacked(program); err != nil {
		return nil, err
	}
	module, err := b.module()
	if err != nil {
		return nil, err
	}
	if err := p.add("/assets/"+buildsFile, []byte(module)); err != nil {
		return nil, err
	}
	if p.nowhere, err = nowhere(); err != nil {
		return nil, err
	}
	if client != nil {
		p.addProgram("/assets/client.wasm", client)
	}
	if program == nil {
		return p, nil
	}
	if err := p.add("/assets/"+runtimeFile, runtime); err != nil {
		return nil, err
	}
	p.addProgram("/assets/verify.wasm", program)
	single, err := SingleFile(program, runtime)
	if err != nil {
		return nil, err
	}
	p.files["/VERIFY.html"] = file{kind: types[".html"], body: single, tag: digest(single), name: "VERIFY.html"}
	return p, nil
}

// verifier returns what was built; nothing of a build without it.
func verifier(from fs.FS) (program, runtime []byte, err error) {
	program, err = fs.ReadFile(from, "built/"+programFile)
	if err != nil {
		return nil, nil, nil
	}
	runtime, err = fs.ReadFile(from, "built/"+runtimeFile)
	return program, runtime, err
}

func (p *Pages) add(at string, body []byte) error {
	kind := types[path.Ext(at)]
	if kind == "" {
		return fmt.Errorf("web: %s is of no known type", at)
	}
	packed, err := Pack(body)
	if err != nil {
		return err
	}
	if len(packed) >= len(body) {
		packed = nil
	}
	p.files[at] = file{kind: kind, body: body, packed: packed, tag: digest(body)}
	return nil
}

// addProgram adds a program, which is there packed only: every browser that runs it can read that.
func (p *Pages) addProgram(at string, packed []byte) {
	p.files[at] = file{kind: types[".wasm"], packed: packed, tag: digest(packed)}
}

// Pack compresses by gzip: the same bytes from the same bytes.
func Pack(body []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	err = w.Close()
	return b.Bytes(), err
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// ServeHTTP answers GET and HEAD. What there is not gets a page that says no more than that.
func (p *Pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	for name, value := range headers {
		h.Set(name, value)
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(sendTime)) // a server that knows no deadlines does without
	f, ok := p.files[r.URL.Path]
	if !ok {
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Type", types[".html"])
		send(w, r, http.StatusNotFound, p.nowhere)
		return
	}
	h.Set("Content-Type", f.kind)
	if f.name != "" {
		h.Set("Content-Disposition", `attachment; filename="`+f.name+`"`)
	}
	body, tag := f.body, `"`+f.tag+`"`
	if f.packed != nil {
		h.Set("Vary", "Accept-Encoding")
		if body == nil || takesGzip(r.Header.Get("Accept-Encoding")) {
			body, tag = f.packed, `"`+f.tag+`-gzip"`
			h.Set("Content-Encoding", "gzip")
		}
	}
	h.Set("ETag", tag)
	if known(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	send(w, r, http.StatusOK, body)
}

func send(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(body) // a client that is gone needs no answer
	}
}

// takesGzip reads Accept-Encoding. Whoever names gzip with any weight but none takes it.
func takesGzip(header string) bool {
	for coding := range strings.SplitSeq(header, ",") {
		name, weight, _ := strings.Cut(coding, ";")
		if name = strings.TrimSpace(name); name == "gzip" || name == "*" {
			q, found := strings.CutPrefix(strings.TrimSpace(weight), "q=")
			n, err := strconv.ParseFloat(q, 64)
			return !found || err == nil && n > 0
		}
	}
	return false
}

func known(header, tag string) bool {
	for t := range strings.SplitSeq(header, ",") {
		if t = strings.TrimPrefix(strings.TrimSpace(t), "W/"); t == tag || t == "*" {
			return true
		}
	}
	return false
}

// Languages are the tags of the languages of the pages, as package words and the reports have them.
var Languages = []string{"ar", "en", "es", "fr", "uk"}

// catalogue reads the words of all languages.
func catalogue() (map[string]map[string]string, error) {
	all := make(map[string]map[string]string)
	for _, tag := range Languages {
		text, err := files.ReadFile("words/" + tag + ".json")
		if err != nil {
			return nil, err
		}
		list := make(map[string]string)
		if err := json.Unmarshal(text, &list); err != nil {
			return nil, fmt.Errorf("web: words %s: %w", tag, err)
		}
		all[tag] = list
	}
	return all, nil
}

// wordsModule is the catalogue as a module.
func wordsModule() ([]byte, error) {
	all, err := catalogue()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(all)
	return []byte("/** @type {Record<string, Record<string, string>>} */\nexport const words = " + string(text) + ";\n"), err
}

// nowhere is the page for what is not here, or not for who asks: in every language, because nobody said which.
func nowhere() ([]byte, error) {
	all, err := catalogue()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString("<!DOCTYPE html>\n<html lang=\"en\" dir=\"ltr\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n" +
		"<title>" + all["en"]["nowhere"] + "</title>\n<link rel=\"icon\" href=\"data:,\">\n<link rel=\"stylesheet\" href=\"/assets/style.css\">\n</head>\n<body>\n<main class=\"page\">\n")
	for i, tag := range []string{"en", "fr", "es", "ar", "uk"} {
		element, dir := "p", "ltr"
		if i == 0 {
			element = "h1"
		}
		if tag == "ar" {
			dir = "rtl"
		}
		fmt.Fprintf(&b, "<%s lang=%q dir=%q>%s</%s>\n", element, tag, dir, all[tag]["nowhere"], element)
	}
	b.WriteString("</main>\n</body>\n</html>\n")
	return b.Bytes(), nil
}
