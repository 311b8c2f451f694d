package main

import (
	"bytes"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/evidence"
)

var update = flag.Bool("update", false, "write testdata/help.txt anew")

// helpOf renders the help of a command and all below it.
func helpOf(t *testing.T, c *cobra.Command, out *bytes.Buffer) {
	t.Helper()
	var text bytes.Buffer
	c.SetOut(&text)
	if err := c.Help(); err != nil {
		t.Fatal(err)
	}
	checkText(t, c.CommandPath(), text.String())
	for line := range strings.SplitSeq(text.String(), "\n") {
		if n := len([]rune(line)); n > width {
			t.Errorf("%s: %d columns: %s", c.CommandPath(), n, line)
		}
	}
	if c.Runnable() && !c.HasSubCommands() && c.Name() != "demo" {
		for _, must := range []string{"Signs:", "Example:"} {
			if !strings.Contains(text.String(), must) {
				t.Errorf("%s: the help has no %q", c.CommandPath(), must)
			}
		}
	}
	out.WriteString("$ " + c.CommandPath() + " --help\n" + text.String() + "\n")
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			helpOf(t, sub, out)
		}
	}
}

func TestHelp(t *testing.T) {
	var got bytes.Buffer
	helpOf(t, root(&app{}), &got)
	const golden = "testdata/help.txt"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("the help has changed; look at it and run the test with -update")
	}
}

// reasonsIn collects the reasons that a package can give: the constants named Reason…, and literals given to Refuse and Fail.
func reasonsIn(t *testing.T, dir string) map[string]bool {
	t.Helper()
	reasons := make(map[string]bool)
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no files (%v)", dir, err)
	}
	text := func(e ast.Expr) string {
		if l, ok := e.(*ast.BasicLit); ok && l.Kind == token.STRING {
			s, _ := strconv.Unquote(l.Value)
			return s
		}
		return ""
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				for i, id := range n.Names {
					if (strings.HasPrefix(id.Name, "Reason") || strings.HasPrefix(id.Name, "reason")) && i < len(n.Values) {
						reasons[text(n.Values[i])] = true
					}
				}
			case *ast.CallExpr:
				if s, ok := n.Fun.(*ast.SelectorExpr); ok && (s.Sel.Name == "Refuse" || s.Sel.Name == "Fail") && len(n.Args) >= 2 {
					kind, ok := n.Args[0].(*ast.SelectorExpr)
					if ok && kind.Sel.Name != "Internal" {
						reasons[text(n.Args[1])] = true
					}
				}
			}
			return true
		})
	}
	delete(reasons, "")
	return reasons
}

// Every reason that the law, the vault or the client can give has a sentence of its own, in words for people.
func TestEveryReasonHasASentence(t *testing.T) {
	for _, dir := range []string{"evidence", "client", "vault", "auth"} {
		reasons := reasonsIn(t, filepath.Join("../../internal", dir))
		if len(reasons) == 0 {
			t.Errorf("%s: no reasons found", dir)
		}
		for reason := range reasons {
			if inEnglish(reason).what == "" && reason != "actor" { // "actor" is the cause of sign_in and goes to the vault's log alone
				t.Errorf("%s: nothing is said about %q", dir, reason)
			}
		}
	}
}

func TestWords(t *testing.T) {
	for reason, w := range sentences {
		checkSentence(t, reason, w.what)
		checkSentence(t, reason, w.next)
	}
	for kind, w := range kindWords {
		checkSentence(t, string(kind), w.what)
		checkSentence(t, string(kind), w.next)
	}
	for lie, what := range lies {
		checkSentence(t, string(lie), "The vault's answer cannot be true: "+what+".")
	}
}

func checkSentence(t *testing.T, where, text string) {
	t.Helper()
	if word := banned.FindString(text); word != "" {
		t.Errorf("%s: the word %q is not for people", where, word)
	}
	if text != "" && !strings.ContainsAny(text[len(text)-1:], ".?:") {
		t.Errorf("%s: not a sentence: %q", where, text)
	}
	for sentence := range strings.SplitSeq(text, ". ") {
		if n := len(strings.Fields(sentence)); n > 24 {
			t.Errorf("%s: %d words in one sentence: %q", where, n, sentence)
		}
	}
}

// The table of steps names every kind that the law knows.
func TestEveryKindHasAName(t *testing.T) {
	for kind := range stepNames {
		if !kind.Known() {
			t.Errorf("%s is not a kind", kind)
		}
		if word := banned.FindString(stepNames[kind]); word != "" {
			t.Errorf("%s: the word %q is not for people", kind, word)
		}
	}
	file, err := parser.ParseFile(token.NewFileSet(), "../../internal/evidence/kinds.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && len(v.Values) == 1 {
			if l, ok := v.Values[0].(*ast.BasicLit); ok && l.Kind == token.STRING {
				if kind, _ := strconv.Unquote(l.Value); stepNames[evidence.Kind(kind)] == "" {
					t.Errorf("%s has no name", kind)
				}
			}
		}
		return true
	})
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		text  string
		width int
		want  string
	}{
		{"", 10, ""},
		{"one", 10, "one"},
		{"one two three", 7, "one two|three"},
		{"a longwordhere b", 5, "a|longwordhere|b"},
		{"é é é é", 3, "é é|é é"},
	} {
		if got := strings.Join(wrap(c.text, c.width), "|"); got != c.want {
			t.Errorf("wrap(%q, %d) = %q, want %q", c.text, c.width, got, c.want)
		}
	}
}

func TestBytesOf(t *testing.T) {
	for n, want := range map[int64]string{0: "0 bytes", 999: "999 bytes", 1000: "1.0 kB", 4_200_000: "4.2 MB", 999_950: "1.0 MB", 200_000_000_000: "200.0 GB"} {
		if got := bytesOf(n); got != want {
			t.Errorf("bytesOf(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestAddress(t *testing.T) {
	number := strings.Repeat("0a", 32)
	for in, want := range map[string]string{
		"https://vault.example": "https://vault.example", "https://vault.example/": "https://vault.example",
		"https://[::1]:1#sha256:" + number: "https://[::1]:1#sha256:" + number, "https://127.0.0.1:1/#sha256:" + number: "https://127.0.0.1:1#sha256:" + number,
		"https://vault.example#sha256:" + number[1:]: "", "https://vault.example#": "", "https://vault.example#" + number: "", "https://vault.example#sha1:" + number: "",
		"https://vault.example#sha256:" + strings.ToUpper(number): "", "https://vault.example#sha256:" + number + "#": "",
		"http://127.0.0.1:8443": "", "http://localhost:1": "", "http://vault.example": "", "https://": "", "https://:443": "", "vault.example": "", "ftp://vault.example": "", "https://u:p@vault.example": "", "https://vault.example/x": "", "": "",
	} {
		got, err := address(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("address(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}
