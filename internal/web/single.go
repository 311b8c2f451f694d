package web

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// SingleFile is the verifier as one HTML file that needs no server and no network: the same page, modules and words as the served ones, and
// the verifier inside it, compressed by gzip. Its own policy lets it reach nothing, and run nothing but the one script that is in it.
func SingleFile(program, runtime []byte) ([]byte, error) {
	page, err := files.ReadFile("assets/verify.html")
	if err != nil {
		return nil, err
	}
	style, err := files.ReadFile("assets/style.css")
	if err != nil {
		return nil, err
	}
	digest, err := unpacked(program)
	if err != nil {
		return nil, err
	}
	named, err := builds{Verifier: digest}.module()
	if err != nil {
		return nil, err
	}
	script, err := flat("verify.js", map[string]string{buildsFile: named})
	if err != nil {
		return nil, err
	}
	worker, err := flat("worker.js", map[string]string{runtimeFile: string(runtime)})
	if err != nil {
		return nil, err
	}
	css := "\n" + string(style)
	script = "\n" + script
	for _, text := range []string{css, script, worker} {
		if i := strings.Index(strings.ToLower(text), "</s"); i >= 0 {
			return nil, fmt.Errorf("web: %q would end the element it stands in", text[i:min(len(text), i+12)])
		}
	}
	meta := fmt.Sprintf(`<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src '%s' 'wasm-unsafe-eval'; style-src '%s'; img-src data:; `+
		`worker-src blob:; connect-src 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types strongroom">`,
		source(script), source(css))
	text := string(page)
	for _, exchange := range [][2]string{
		{"<meta charset=\"utf-8\">\n", "<meta charset=\"utf-8\">\n" + meta + "\n"},
		{"<link rel=\"stylesheet\" href=\"/assets/style.css\">", "<style>" + css + "</style>"},
		{"<script type=\"module\" src=\"/assets/verify.js\"></script>\n", ""},
		{"</body>", "<script type=\"text/plain\" id=\"worker\">\n" + worker + "</script>\n<script type=\"text/plain\" id=\"program\">" +
			base64.StdEncoding.EncodeToString(program) + "</script>\n<script type=\"module\">" + script + "</script>\n</body>"},
	} {
		if strings.Count(text, exchange[0]) != 1 {
			return nil, fmt.Errorf("web: the page has not exactly one %q", exchange[0])
		}
		text = strings.Replace(text, exchange[0], exchange[1], 1)
	}
	return []byte(text), nil
}

// Single is the single file of this build, or nil if the build has no verifier for browsers.
func Single() ([]byte, error) {
	program, runtime, err := verifier(files)
	if program == nil || err != nil {
		return nil, err
	}
	return SingleFile(program, runtime)
}

// source names an inline element's text in a Content-Security-Policy.
func source(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

var (
	imports = regexp.MustCompile(`(?m)^import (?:\{[^}\n]*\} from )?"\./([a-z_]+\.js)";\n`)
	exports = regexp.MustCompile(`(?m)^export (async function|function|class|const) `)
	unknown = regexp.MustCompile(`(?m)^\s*(import|export)\b.*$`)
	names   = regexp.MustCompile(`(?m)^(?:async function|function|class|const|let) ([A-Za-z0-9_$]+)`)
)

// flat is a module with those that it imports before it, in one text: modules here share no name at their top, and import and export in one
// form only. given are modules that are no assets.
func flat(name string, given map[string]string) (string, error) {
	var texts []string
	var seen []string
	var add func(name string) error
	add = func(name string) error {
		if slices.Contains(seen, name) {
			return nil
		}
		seen = append(seen, name)
		text, ok := given[name]
		if !ok {
			body, err := module(name)
			if err != nil {
				return err
			}
			text = string(body)
		}
		for _, m := range imports.FindAllStringSubmatch(text, -1) {
			if err := add(m[1]); err != nil {
				return err
			}
		}
		text = exports.ReplaceAllString(imports.ReplaceAllString(text, ""), "$1 ")
		if found := unknown.FindString(text); found != "" && !ok {
			return fmt.Errorf("web: %s: %q is not a form in which modules import or export here", name, found)
		}
		texts = append(texts, text)
		return nil
	}
	if err := add(name); err != nil {
		return "", err
	}
	all := strings.Join(texts, "\n")
	var tops []string
	for _, m := range names.FindAllStringSubmatch(all, -1) {
		if slices.Contains(tops, m[1]) {
			return "", fmt.Errorf("web: two modules have a %s", m[1])
		}
		tops = append(tops, m[1])
	}
	return all, nil
}

func module(name string) ([]byte, error) {
	if name == "words.js" {
		return wordsModule()
	}
	return files.ReadFile("assets/" + name)
}
