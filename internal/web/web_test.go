package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// program stands in for the verifier where only its bytes count, not what they do: the browser tests run the real one.
var program = must(Pack(bytes.Repeat([]byte("\x00asm"), 1000)))

const runtime = "\"use strict\";\nglobalThis.Go = class {};\n"

func whole(t *testing.T) *Pages { return must(newPages(program, nil, []byte(runtime))) }

func ask(p *Pages, method, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

// Every answer has the headers, whatever was asked; nothing but GET and HEAD is answered.
func TestHeaders(t *testing.T) {
	p := whole(t)
	for _, path := range append([]string{"/verify", "/assets/verify.js", "/assets/verify.wasm", "/VERIFY.html", "/nowhere", "/court/", "/assets/app.html"}, routes...) {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"} {
			w := ask(p, method, path)
			for name, value := range headers {
				if name != "Cache-Control" && w.Header().Get(name) != value {
					t.Errorf("%s %s: %s is %q", method, path, name, w.Header().Get(name))
				}
			}
			reads := method == "GET" || method == "HEAD"
			if !reads && (w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" || w.Body.Len() > 0) {
				t.Errorf("%s %s: %d", method, path, w.Code)
			}
			if missing := path == "/nowhere" || path == "/court/" || path == "/assets/app.html"; reads && (w.Code == http.StatusNotFound) != missing {
				t.Errorf("%s %s: %d", method, path, w.Code)
			}
			if method == "HEAD" && w.Body.Len() > 0 || w.Header().Get("Set-Cookie") != "" {
				t.Errorf("%s %s: %d bytes, cookie %q", method, path, w.Body.Len(), w.Header().Get("Set-Cookie"))
			}
		}
	}
	for _, name := range []string{"Content-Security-Policy", "Cache-Control", "Cross-Origin-Embedder-Policy", "Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy",
		"Permissions-Policy", "Referrer-Policy", "X-Content-Type-Options", "X-Frame-Options"} {
		if headers[name] == "" {
			t.Errorf("no %s", name)
		}
	}
	for _, rule := range []string{"default-src 'none'", "require-trusted-types-for 'script'", "frame-ancestors 'none'", "connect-src 'self'", "form-action 'none'"} {
		if !strings.Contains(policy, rule) {
			t.Errorf("the policy has no %s", rule)
		}
	}
	for rule := range strings.SplitSeq(policy, "; ") {
		for _, lax := range []string{"'unsafe-inline'", "'unsafe-eval'", "https:", "data:", "blob:", "*"} {
			// What was opened is looked at and listened to from memory; nothing that could run comes from there.
			shown := rule == "img-src data: blob:" || rule == "media-src blob:"
			if strings.Contains(rule, lax) && !shown {
				t.Errorf("the policy has %s", rule)
			}
		}
	}
}

// Each file has its type, goes packed to who takes that, and is not sent again to who has it.
func TestFiles(t *testing.T) {
	p := whole(t)
	for path, kind := range map[string]string{"/verify": "text/html; charset=utf-8", "/assets/style.css": "text/css; charset=utf-8", "/assets/words.js": "text/javascript; charset=utf-8",
		"/assets/verify.js": "text/javascript; charset=utf-8", "/assets/wasm_exec.js": "text/javascript; charset=utf-8", "/assets/verify.wasm": "application/wasm"} {
		packed := ask(p, "GET", path, "Accept-Encoding", "br, gzip;q=0.5")
		if packed.Header().Get("Content-Type") != kind || packed.Code != http.StatusOK || packed.Header().Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: %d, %v", path, packed.Code, packed.Header())
		}
		tag := packed.Header().Get("ETag")
		if again := ask(p, "GET", path, "Accept-Encoding", "gzip", "If-None-Match", `"other", W/`+tag); again.Code != http.StatusNotModified || again.Body.Len() > 0 {
			t.Errorf("%s: sent again, %d", path, again.Code)
		}
		if path == "/assets/wasm_exec.js" { // too short to gain
			continue
		}
		if packed.Header().Get("Content-Encoding") != "gzip" || packed.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: not packed", path)
		}
		body := must(io.ReadAll(must(gzip.NewReader(packed.Body))))
		if path == "/assets/verify.wasm" {
			continue // it is there packed only, which every browser that runs it can read
		}
		for _, header := range []string{"", "gzip;q=0", "br, identity"} {
			plain := ask(p, "GET", path, "Accept-Encoding", header)
			if plain.Header().Get("Content-Encoding") != "" || !bytes.Equal(plain.Body.Bytes(), body) || plain.Header().Get("ETag") == tag {
				t.Errorf("%s for %q: %v", path, header, plain.Header())
			}
		}
	}
	single := ask(p, "GET", "/VERIFY.html")
	if single.Header().Get("Content-Disposition") != `attachment; filename="VERIFY.html"` || !bytes.Equal(single.Body.Bytes(), must(SingleFile(program, []byte(runtime)))) {
		t.Errorf("%v", single.Header())
	}
}

// What the pages call the programs are the digests of what browsers run, and none of a program that there is not.
func TestBuildsAreNamed(t *testing.T) {
	client, none := must(Pack([]byte("\x00asm client"))), "export const builds = {};\n"
	of := func(body []byte) string { sum := sha256.Sum256(body); return hex.EncodeToString(sum[:]) }
	verifier := of(bytes.Repeat([]byte("\x00asm"), 1000))
	for want, p := range map[string]*Pages{
		`export const builds = {"client":"` + of([]byte("\x00asm client")) + `","verifier":"` + verifier + `"};`: must(newPages(program, client, []byte(runtime))),
		none: must(newPages(nil, nil, nil)),
	} {
		if body := ask(p, "GET", "/assets/builds.js").Body.String(); !strings.Contains(body, want) {
			t.Errorf("%s, not %s", body, want)
		}
	}
	if page := must(SingleFile(program, []byte(runtime))); !strings.Contains(string(page), `const builds = {"verifier":"`+verifier+`"}`) {
		t.Error("the single file does not name its verifier")
	}
	if _, err := newPages(program, []byte("not packed"), []byte(runtime)); err == nil {
		t.Error("a program that cannot be unpacked")
	}
}

// A build without the verifier has the page, and neither verifier nor single file; half of it is an error.
func TestWithoutVerifier(t *testing.T) {
	p := must(newPages(nil, nil, nil))
	for path, want := range map[string]int{"/verify": 200, "/assets/verify.js": 200, "/assets/verify.wasm": 404, "/VERIFY.html": 404} {
		if w := ask(p, "GET", path); w.Code != want {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if program, _, err := verifier(fstest.MapFS{}); program != nil || err != nil {
		t.Errorf("%v", err)
	}
	if _, _, err := verifier(fstest.MapFS{"built/" + programFile: {}}); err == nil {
		t.Error("a verifier without what runs it")
	}
	if _, err := New(); err != nil {
		t.Error(err)
	}
}

var places = regexp.MustCompile(`\{[a-z]+\}`)

// Each language has every text with the same places, and none is English or empty.
func TestWords(t *testing.T) {
	all := must(catalogue())
	if names := must(fs.Glob(files, "words/*.json")); len(names) != len(Languages) {
		t.Errorf("catalogues %v", names)
	}
	alike := []string{"es title.problem", "fr purpose.documentation", "fr role.police"}
	for tag, list := range all {
		if !slices.Equal(slices.Sorted(maps.Keys(list)), slices.Sorted(maps.Keys(all["en"]))) {
			t.Errorf("%s has other ids than English", tag)
		}
		for id, text := range list {
			own := all["en"][id]
			if text == "" || !slices.Equal(slices.Sorted(slices.Values(places.FindAllString(text, -1))), slices.Sorted(slices.Values(places.FindAllString(own, -1)))) {
				t.Errorf("%s %s: %q against %q", tag, id, text, own)
			}
			if tag != "en" && text == own && !slices.Contains(alike, tag+" "+id) {
				t.Errorf("%s %s is in English", tag, id)
			}
			if found := regexp.MustCompile(`\p{Latin}{2,}`).FindString(places.ReplaceAllString(text, "")); (tag == "ar" || tag == "uk") && found != "" {
				t.Errorf("%s %s: %q is not translated", tag, id, found)
			}
		}
	}
	banned := regexp.MustCompile(`(?i)\b(hash|merkle|token|ciphertext|user|victim|delete evidence|are you sure|invalid|failed|secure|safe)\b`)
	for id, text := range all["en"] {
		if word := banned.FindString(text); word != "" {
			t.Errorf("%s says %q", id, word)
		}
		for sentence := range strings.SplitSeq(text, ". ") {
			if n := len(strings.Fields(sentence)); n > 20 {
				t.Errorf("%s has a sentence of %d words", id, n)
			}
		}
	}
}

// Every text that a module asks for is there, and every text is asked for.
func TestAskedWords(t *testing.T) {
	var text strings.Builder
	for _, name := range must(filepath.Glob("assets/*.js")) {
		text.Write(must(os.ReadFile(name)))
	}
	code := text.String()
	list := must(catalogue())["en"]
	for _, m := range regexp.MustCompile(`\b(?:say|press)\("([a-z_.]+)"|\blink\("[^"]*", "([a-z_.]+)"`).FindAllStringSubmatch(code, -1) {
		if id := m[1] + m[2]; list[id] == "" {
			t.Errorf("%q is asked for", id)
		}
	}
	composed := regexp.MustCompile("`([a-z.]+)\\.\\$\\{").FindAllStringSubmatch(code, -1)
	for id := range list {
		asked := strings.Contains(code, `"`+id+`"`) || id == "nowhere" // which package web says itself
		for _, m := range composed {
			asked = asked || strings.HasPrefix(id, m[1]+".")
		}
		if !asked {
			t.Errorf("%s is never said", id)
		}
	}
}

// Codes have the words that the reports have for them, so that a page and the paper beside it say the same.
func TestWordsOfReports(t *testing.T) {
	shared := regexp.MustCompile(`^(role|purpose|content|legal|action|event|terms|label)\.|^step(\.|$)`)
	n := 0
	for tag, list := range must(catalogue()) {
		paper := map[string]any{}
		if err := json.Unmarshal(must(os.ReadFile("../dossier/assets/words."+tag+".json")), &paper); err != nil {
			t.Fatal(err)
		}
		for id, text := range list {
			said, ok := paper[id].(string)
			if !shared.MatchString(id) {
				continue
			}
			if n++; !ok || said != text && len(places.FindAllString(said, -1)) == len(places.FindAllString(text, -1)) {
				t.Errorf("%s %s: %q, and in reports %q", tag, id, text, said)
			}
		}
	}
	if n < 300 {
		t.Errorf("only %d texts", n)
	}
}

// What is said about a reason is about one that there is.
func TestReasons(t *testing.T) {
	var code strings.Builder
	for _, folder := range []string{"../evidence", "../client", "../vault", "../httpapi", "../auth", "../../cmd/strongroom-web", "assets"} {
		for _, name := range append(must(filepath.Glob(folder+"/*.go")), must(filepath.Glob(folder+"/*.js"))...) {
			if !strings.HasSuffix(name, "_test.go") {
				code.Write(must(os.ReadFile(name)))
			}
		}
	}
	for id := range must(catalogue())["en"] {
		if reason, ok := strings.CutPrefix(id, "why."); ok && !strings.Contains(code.String(), `"`+reason+`"`) && !strings.Contains(code.String(), `"`+id+`"`) {
			t.Errorf("nothing refuses for %s", reason)
		}
	}
}

// Nothing in the assets asks anybody else, carries inline code or style, or makes markup out of text.
func TestAssets(t *testing.T) {
	forbidden := regexp.MustCompile(`https?://(?:[^w]|w[^w])|\beval\(|new Function|innerHTML|insertAdjacentHTML|document\.write|\bstyle=|\bon[a-z]+="|@import|url\(`)
	for _, name := range must(filepath.Glob("assets/*")) {
		for line := range strings.Lines(string(must(os.ReadFile(name)))) {
			if found := forbidden.FindString(line); found != "" {
				t.Errorf("%s: %q in %s", name, found, strings.TrimSpace(line))
			}
		}
		if filepath.Ext(name) == ".css" {
			sides := regexp.MustCompile(`(?m)^\s*(?:[a-z-]*-)?(left|right)(?:-[a-z]+)?:|text-align: (?:left|right)`)
			if found := sides.FindString(string(must(os.ReadFile(name)))); found != "" {
				t.Errorf("%s: %q does not mirror", name, found)
			}
		}
	}
}

// Contrast of the colours of INTERFACE §2, computed as WCAG says.
func TestColours(t *testing.T) {
	css := string(must(os.ReadFile("assets/style.css")))
	blocks := regexp.MustCompile(`(?s)(?:^|\n)(?:\t)?:root \{(.*?)\}`).FindAllStringSubmatch(css, -1)
	if len(blocks) != 3 {
		t.Fatalf("%d sets of colours", len(blocks))
	}
	for i, block := range blocks {
		colour := map[string]string{}
		for _, m := range regexp.MustCompile(`--([a-z-]+): (#[0-9A-F]{6});`).FindAllStringSubmatch(block[1], -1) {
			colour[m[1]] = m[2]
		}
		for _, pair := range [][2]string{{"text", "page"}, {"text", "panel"}, {"muted", "page"}, {"muted", "panel"}, {"accent", "page"}, {"accent", "panel"},
			{"done", "done-tint"}, {"waiting", "waiting-tint"}, {"stop", "stop-tint"}, {"done", "page"}, {"stop", "page"}, {"waiting", "page"}} {
			if got := contrast(t, colour[pair[0]], colour[pair[1]]); got < 6 {
				t.Errorf("set %d: %s on %s has %.1f", i, pair[0], pair[1], got)
			}
		}
		if got := contrast(t, colour["border"], colour["page"]); got < 4 {
			t.Errorf("set %d: borders have %.1f", i, got)
		}
	}
}

func contrast(t *testing.T, a, b string) float64 {
	la, lb := luminance(t, a), luminance(t, b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

// The single file is the same bytes from the same parts, holds them whole, and its policy names its own script and style, and nothing else.
func TestSingleFile(t *testing.T) {
	page := must(SingleFile(program, []byte(runtime)))
	if !bytes.Equal(page, must(SingleFile(program, []byte(runtime)))) {
		t.Fatal("two files from one source differ")
	}
	text := string(page)
	csp := regexp.MustCompile(`http-equiv="Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(text)[1]
	script := regexp.MustCompile(`(?s)<script type="module">(.*?)</script>`).FindAllStringSubmatch(text, -1)
	style := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindAllStringSubmatch(text, -1)
	if len(script) != 1 || len(style) != 1 || !strings.Contains(csp, "script-src '"+source(script[0][1])+"' 'wasm-unsafe-eval';") || !strings.Contains(csp, "style-src '"+source(style[0][1])+"';") ||
		!strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "connect-src 'none'") || strings.Contains(csp, "unsafe-inline") {
		t.Errorf("policy %s", csp)
	}
	if strings.Index(text, "Content-Security-Policy") > strings.Index(text, "<style>") {
		t.Error("the policy comes after what it governs")
	}
	if strings.Count(text, "<script") != 3 || strings.Contains(text, "src=") || strings.Contains(text, "<link rel=\"stylesheet") || regexp.MustCompile(`(?m)^(import|export)\b`).MatchString(text) {
		t.Error("the file needs others")
	}
	packed := regexp.MustCompile(`id="program">([^<]*)<`).FindStringSubmatch(text)[1]
	if !bytes.Equal(must(base64.StdEncoding.DecodeString(packed)), program) {
		t.Error("another program")
	}
	if !strings.Contains(text, runtime) || strings.Count(text, "globalThis.Go = class") != 1 {
		t.Error("not what runs it")
	}
	words := regexp.MustCompile(`(?m)^const words = (\{.*\});$`).FindStringSubmatch(script[0][1])
	if all := make(map[string]map[string]string); len(words) != 2 || json.Unmarshal([]byte(words[1]), &all) != nil || len(all) != len(Languages) {
		t.Error("not all words")
	}
	if _, err := SingleFile(program, []byte("\"</script>\"")); err == nil {
		t.Error("a script that ends its element")
	}
}

// Modules that share a name, or import otherwise, are not put together.
func TestFlat(t *testing.T) {
	for name, text := range map[string]string{
		"twice":   "import { el } from \"./dom.js\";\nfunction icon() {}\n",
		"default": "export default 1;\n",
		"all":     "import * as dom from \"./dom.js\";\n",
		"missing": "import { x } from \"./none.js\";\n",
	} {
		if name == "default" || name == "all" { // judged as an asset is
			if found := unknown.FindString(exports.ReplaceAllString(imports.ReplaceAllString(text, ""), "$1 ")); found == "" {
				t.Errorf("%s is taken", name)
			}
			continue
		}
		if _, err := flat("x.js", map[string]string{"x.js": text}); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
