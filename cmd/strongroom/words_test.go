package main

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/words"
)

// catalogue are the texts of a language: of each message all its forms.
func catalogue(t *testing.T, tag string) map[string][]string {
	t.Helper()
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(must(os.ReadFile("../../internal/words/catalogue/"+tag+".json")), &raw); err != nil {
		t.Fatal(err)
	}
	all := make(map[string][]string)
	for id, m := range raw {
		var text string
		var forms map[string]string
		if json.Unmarshal(m, &text) == nil {
			all[id] = []string{text}
		} else if err := json.Unmarshal(m, &forms); err == nil {
			all[id] = slices.Sorted(maps.Values(forms))
		}
	}
	return all
}

var gaps = regexp.MustCompile(`\{([a-z_]+)\}`)

// dynamic are groups of messages whose id ends in a code, each with all codes that there are.
func dynamic(t *testing.T) map[string][]string {
	var flags []string
	for _, q := range questions {
		flags = append(flags, q.flag)
	}
	var kinds []string
	for _, k := range accesses {
		kinds = append(kinds, string(k))
	}
	kinds = append(kinds, "item.exported.print", "item.exported.copy")
	return map[string][]string{
		"question": flags, "access": kinds,
		"emergency": {"life", "safety", "legal_deadline"},
		"answer":    {"yes", "no", "not_asked"}, "said": {"yes", "no", "not_asked", "later"},
		"form":    {string(client.FormRead), string(client.FormPaper), string(client.FormUnread)},
		"step":    constants(t, "client/deposit.go", "Step"),
		"role":    constants(t, "evidence/codes.go", "Role"),
		"purpose": constants(t, "evidence/codes.go", "Purpose"),
		"content": constants(t, "evidence/codes.go", "Content"),
		"method":  constants(t, "evidence/codes.go", "Method"),
		"law":     append(constants(t, "evidence/codes.go", "Basis"), "treaty", "mla_request", "court_order", "consent", "statute"),
		"right":   {"read", "narrow", "withdraw", "approve"},
		"export":  {"package", "print", "copy"},
		"action":  append(constants(t, "evidence/codes.go", "Action"), "both"),
		"word":    {"withdraw", "narrow", "record", "approve"},
		"why":     {evidence.ReasonConsentWithdrawn, evidence.ReasonConsentExpired, "card_code"},
		"label":   {"refused", "not_done", "not_yet", "received", "alarm"},
		"next":    nil,
	}
}

// constants are the values of a type in a file of ours.
func constants(t *testing.T, file, name string) (list []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../../internal/"+file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && len(v.Values) == 1 {
			if typ, ok := v.Type.(*ast.Ident); ok && typ.Name == name {
				list = append(list, literal(v.Values[0]))
			}
		}
		return true
	})
	if len(list) == 0 {
		t.Fatalf("%s has no %s", file, name)
	}
	return list
}

func literal(e ast.Expr) string {
	if l, ok := e.(*ast.BasicLit); ok && l.Kind == token.STRING {
		s, _ := strconv.Unquote(l.Value)
		return s
	}
	return ""
}

// Every message that this program and the catalogues' own package ask for is there, with exactly the places that are filled; and every
// message is asked for.
func TestMessagesExist(t *testing.T) {
	en, used := catalogue(t, "en"), make(map[string]bool)
	groups := dynamic(t)
	for group, codes := range groups {
		for _, code := range codes {
			id := group + "." + code
			if used[id] = true; en[id] == nil {
				t.Errorf("%s is not in the catalogues", id)
			}
		}
	}
	files := append(must(filepath.Glob("*.go")), must(filepath.Glob("../../internal/words/*.go"))...)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if l, ok := n.(*ast.BasicLit); ok && en[literal(l)] != nil {
				used[literal(l)] = true
			}
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !slices.Contains([]string{"Say", "Count", "Code", "Has"}, method.Sel.Name) || len(call.Args) == 0 {
				return true
			}
			at := set.Position(call.Pos())
			id, rest := literal(call.Args[0]), call.Args[1:]
			switch join, concatenated := call.Args[0].(*ast.BinaryExpr); {
			case method.Sel.Name == "Code" && id != "":
				if _, ok := groups[id]; !ok {
					t.Errorf("%v: no codes are known of the group %q", at, id)
				}
				return true
			case concatenated:
				if group, ok := strings.CutSuffix(literal(join.X), "."); ok && groups[group] == nil && group != "next" {
					t.Errorf("%v: no codes are known of the group %q", at, group)
				}
				return true
			case id == "" || method.Sel.Name == "Has" || method.Sel.Name == "Code":
				return true
			case en[id] == nil:
				t.Errorf("%v: %q is in no catalogue", at, id)
				return true
			}
			filled := []string{}
			if method.Sel.Name == "Count" {
				filled, rest = append(filled, "n"), rest[1:]
			}
			if call.Ellipsis.IsValid() {
				return true
			}
			for i := 0; i < len(rest); i += 2 {
				filled = append(filled, literal(rest[i]))
			}
			var need []string
			for _, p := range gaps.FindAllStringSubmatch(strings.Join(en[id], " "), -1) {
				need = append(need, p[1])
			}
			slices.Sort(need)
			slices.Sort(filled)
			optional := id == "form.compared" || len(rest)%2 != 0
			if need = slices.Compact(need); !optional && !slices.Equal(need, filled) {
				t.Errorf("%v: %s has the places %q, and %q are filled", at, id, need, filled)
			}
			return true
		})
	}
	for id := range en {
		group, code, _ := strings.Cut(id, ".")
		switch {
		case used[id], group == "month":
		case group == "why" && en[id] != nil, group == "next" && en["why."+code] != nil: // said by its reason: TestReasonsExist
		default:
			t.Errorf("nothing asks for %s", id)
		}
	}
}

// The catalogues explain only what can happen, and every advice has what its places need.
func TestReasonsExist(t *testing.T) {
	known := map[string]bool{"declined": true, "no_answer": true, "no_terminal": true, "passphrase": true, "no_keys": true, "no_vault": true, "network": true,
		"interrupted": true, "file": true, "exists": true, "ambiguous": true, "card_here": true, "withheld": true, "too_often": true, "http": true}
	for _, dir := range []string{"evidence", "client", "vault", "auth", "sealing"} {
		maps.Copy(known, reasonsIn(t, filepath.Join("../../internal", dir)))
	}
	maps.Copy(known, reasonsIn(t, "."))
	for id, texts := range catalogue(t, "en") {
		reason, ok := strings.CutPrefix(id, "why.")
		if !ok {
			continue
		}
		if !known[reason] {
			t.Errorf("nothing says %q", reason)
		}
		if _, twice := sentences[reason]; twice {
			t.Errorf("%q is in the catalogues and in English beside them", reason)
		}
		for _, tag := range words.Tags() {
			if w, _ := sentenceFor(words.For(tag), reason); strings.ContainsAny(w.what+w.next, "{}") || w.what == "" || strings.Contains(w.next, "  ") ||
				strings.Contains(strings.Join(catalogue(t, "en")["next."+reason], ""), "{command}") && advised[reason] == "" {
				t.Errorf("%s: %s: %+v (%s)", tag, reason, w, texts)
			}
		}
	}
}

// Ids, and what is typed: they are the same in every language.
var (
	ids        = regexp.MustCompile(`\b[a-z]{3}-[a-z2-7]{26}\b`)
	typedWords = regexp.MustCompile(`strongroom( [a-z-]+)+|--[a-z-]+( [a-z]+\b)?|\bUTC\b|\bNL\b`)
)

// told is a text in one line, without what is the same in every language.
func told(text string) string {
	return typedWords.ReplaceAllString(ids.ReplaceAllString(strings.Join(strings.Fields(text), " "), "…"), "…")
}

// translated demands that nothing in a text is English that the language's catalogue says otherwise.
func translated(t *testing.T, tag, text string) {
	t.Helper()
	text = told(text)
	en, own := catalogue(t, "en"), catalogue(t, tag)
	theirs := strings.Join(slices.Concat(slices.Collect(maps.Values(own))...), "\n")
	found := false
	for id, texts := range en {
		for _, english := range texts {
			literal := strings.Trim(gaps.ReplaceAllString(english, "\x00"), "\x00 .,;:()–/")
			if !strings.ContainsFunc(strings.ReplaceAll(literal, "\x00", ""), unicode.IsLetter) || tag != "en" && slices.Equal(texts, own[id]) {
				continue // there is nothing in it that could be told from another language
			}
			if slices.ContainsFunc(strings.Split(literal, "\x00"), func(part string) bool { return !strings.Contains(text, part) }) {
				continue // most are not there at all
			}
			pattern := regexp.MustCompile(`(?:^|[^\pL\d-])` + strings.ReplaceAll(regexp.QuoteMeta(literal), "\x00", `.{1,80}?`) + `(?:$|[^\pL\d-])`)
			hit := pattern.FindString(text)
			found = found || hit != ""
			if hit != "" && tag != "en" && !pattern.MatchString(theirs) {
				t.Errorf("%s: %s is said in English, %q in:\n%s", tag, id, hit, text)
			}
		}
	}
	if tag == "en" && !found {
		t.Errorf("nothing of the catalogue is in:\n%s", text)
	}
}

// inEveryLanguage runs a command that changes nothing in every language. Where letters are others than Latin ones, nothing else is Latin.
func (p *person) inEveryLanguage(args ...string) {
	p.t.Helper()
	for _, tag := range words.Tags() {
		s := p.as("--language", tag).types("", args...).ends(0)
		translated(p.t, tag, s.out+" "+s.err)
		if latin := regexp.MustCompile(`\p{Latin}{2,}`).FindAllString(told(s.out), -1); latin != nil && (tag == "ar" || tag == "uk") {
			p.t.Errorf("%s: %q is not from the catalogue in:\n%s", tag, latin, s.out)
		}
		if isolated := strings.ContainsAny(s.out, "\u2068\u2069"); isolated != (tag == "ar") {
			p.t.Errorf("%s: isolates: %v", tag, isolated)
		}
	}
}

// What she is told in her language is told in it as a whole; her locale counts; programs read the same whatever she speaks.
func TestLanguage(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		flag string
		want string
	}{
		{map[string]string{"LC_ALL": "", "LC_MESSAGES": "", "LANG": "uk_UA.UTF-8"}, "", "uk"},
		{map[string]string{"LC_ALL": "", "LC_MESSAGES": "fr_FR.UTF-8", "LANG": "uk_UA.UTF-8"}, "", "fr"},
		{map[string]string{"LC_ALL": "C", "LC_MESSAGES": "fr_FR.UTF-8", "LANG": "uk_UA.UTF-8"}, "", "en"},
		{map[string]string{"LC_ALL": "C", "LC_MESSAGES": "", "LANG": ""}, "ar", "ar"},
		{map[string]string{"LC_ALL": "ar_SY.UTF-8", "LC_MESSAGES": "", "LANG": ""}, "tlh", "en"},
	} {
		for name, value := range c.env {
			t.Setenv(name, value)
		}
		a := &app{language: c.flag, hers: true}
		if got := a.words().Tag(); got != c.want {
			t.Errorf("%v: %s, want %s", c, got, c.want)
		}
		for _, a := range []*app{{language: "fr"}, {language: "fr", hers: true, json: true}} {
			if a.words() != words.English() {
				t.Errorf("what is for programs and for staff is %s", a.words().Tag())
			}
		}
	}
}

// A refusal is told in her language, with the reason's code as it is.
func TestRefusalsInHerLanguage(t *testing.T) {
	path := saved("mine.txt", os.ErrExist)
	for _, err := range []error{evidence.Refuse(evidence.Forbidden, evidence.ReasonFrozen), evidence.Refuse(evidence.Forbidden, evidence.ReasonConsentExpired),
		evidence.Refuse(evidence.Forbidden, evidence.ReasonSecondPerson), evidence.Refuse(evidence.NotFound, "not_found"), evidence.Refuse(evidence.Forbidden, "card"),
		decline("card_code"), decline("declined"), cannot("network", nil), path, &client.Alarm{Lie: client.Forked, Stream: evidence.ItemOf("itm-x")},
		evidence.Fail(evidence.Pending, "proof_pending", nil), evidence.Fail(evidence.Pending, "pending", nil)} {
		for _, tag := range words.Tags() {
			var out, errs strings.Builder
			a := &app{out: &out, err: &errs, began: true, hers: true, language: tag}
			a.report(err)
			p := explain(err)
			if p.code != exitPending && !strings.Contains(errs.String(), p.reason) {
				t.Errorf("%s: no code in:\n%s", tag, errs.String())
			}
			if tag == "en" {
				continue
			}
			translated(t, tag, strings.ReplaceAll(errs.String(), p.reason, ""))
			for _, english := range []string{p.sentence, p.kept, p.next} {
				if english != "" && strings.Contains(strings.Join(strings.Fields(errs.String()), " "), english) {
					t.Errorf("%s: English in:\n%s", tag, errs.String())
				}
			}
		}
	}
}

// Rows stay in their columns with longer labels, with marks and with isolates, and what others wrote turns nothing.
func TestRowsFromRightToLeft(t *testing.T) {
	l := words.For("ar")
	var out strings.Builder
	number := strings.TrimSpace(strings.Repeat("12345 67890 ", 7))
	printRows(&out, row{l.Say("label.again"), l.Isolate(number)}, row{"", "a\u202eb\u2069c"}, row{l.Say("label.if_go_on"), ""})
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	for i, want := range []string{l.Say("label.again") + strings.Repeat(" ", 6) + "\u2068" + number[:65] + "\u2069", strings.Repeat(" ", 11) + "\u2068" + number[66:] + "\u2069",
		strings.Repeat(" ", 11) + "a\ufffdb\ufffdc", l.Say("label.if_go_on")} {
		if i >= len(lines) || lines[i] != want {
			t.Fatalf("line %d is not %q in:\n%q", i, want, lines)
		}
	}
}
