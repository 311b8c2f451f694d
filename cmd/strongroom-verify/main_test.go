//go:build !(js && wasm)

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/sealing"
)

const vectors = "../../api/vectors/dossier/"

func never() (string, error) { return "", errors.New("nobody is asked") }

func TestMain(m *testing.M) {
	os.Setenv("LC_ALL", "C") // what is tested does not depend on this machine's language
	os.Exit(m.Run())
}

func run(t *testing.T, ask func() (string, error), args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Run(args, &out, &errs, ask)
	for line := range strings.Lines(out.String()) {
		line = strings.NewReplacer("\u2068", "", "\u2069", "").Replace(line) // which take no column
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 80 && !strings.HasPrefix(out.String(), "{") {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	return code, out.String(), errs.String()
}

// The exit code of every vector is that of its verdict, and the first word of the text is the verdict.
func TestVerdicts(t *testing.T) {
	data, err := os.ReadFile(vectors + "vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []struct {
		Package, Trust, Identity, Previous, Reason string
		Verdict                                    dossier.Verdict
	}
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	for _, v := range list {
		args := []string{"--trust", vectors + v.Trust, "--identity", vectors + v.Identity}
		if v.Previous != "" {
			args = append(args, "--previous", vectors+v.Previous)
		}
		code, out, _ := run(t, never, append(args, vectors+v.Package)...)
		if code != v.Verdict.ExitCode() || !strings.HasPrefix(out, strings.ToUpper(string(v.Verdict))+" ") || !strings.Contains(out, v.Reason) {
			t.Errorf("%s: exit %d\n%s", v.Package, code, out)
		}
	}
}

// With the package that the court got before, the report says that the log goes on from there, or prints both heads where it does not.
func TestPrevious(t *testing.T) {
	args := []string{"--trust", vectors + "five.trust.json", "--previous", vectors + "first.zip"}
	for pkg, want := range map[string]struct {
		code  int
		roots int
		says  bool
	}{"second.zip": {0, 0, true}, "second-unproven.zip": {2, 2, false}, "second-forked.zip": {1, 2, false}} {
		for _, form := range []string{"", "--json"} {
			all := slices.DeleteFunc(append(slices.Clone(args), form, vectors+pkg), func(s string) bool { return s == "" })
			code, out, _ := run(t, never, all...)
			said := strings.Join(strings.Fields(out), " ")
			if code != want.code || strings.Count(said, "entries, root ")%2 != 0 || strings.Contains(said, "entries, root ") != (want.roots > 0) || strings.Contains(said, "This log extends the one of the earlier package") != want.says {
				t.Errorf("%s %s: exit %d\n%s", pkg, form, code, out)
			}
		}
	}
	if code, out, errs := run(t, never, "--previous", filepath.Join(t.TempDir(), "none.zip"), vectors+"second.zip"); code != 2 || out != "" || errs == "" {
		t.Errorf("no such package: exit %d, %q", code, out)
	}
}

func TestJSON(t *testing.T) {
	code, out, _ := run(t, never, "--json", "--trust", vectors+"one.trust.json", vectors+"genuine.zip")
	var report map[string]json.RawMessage
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != 0 {
		t.Fatal(code, err)
	}
	for _, name := range []string{"verdict", "checks", "items", "events", "shows", "does_not_show"} {
		if len(report[name]) < 3 {
			t.Errorf("%s: %s", name, report[name])
		}
	}
	if len(report) != 6 {
		t.Errorf("%d members", len(report))
	}
}

// The report is in each language, whole: in the language of --language, or else of the locale. The verdict and exit code are the same, and what
// programs read is the same to the byte.
func TestLanguages(t *testing.T) {
	trust := []string{"--trust", vectors + "one.trust.json"}
	opened := append(slices.Clone(trust), "--identity", vectors+"one.identity.txt")
	for tag, want := range map[string]struct{ verified, refused, incomplete []string }{
		"en": {[]string{"VERIFIED  ", "\nThis shows\n", "\nThis does not show\n", "  - May: view and download\n", "Step 5: 1 March 2027", "Asked to open the item.", "Allowed: the signer held a key",
			"Files of the package: in order", "Is this the number the registry told you?"},
			[]string{"REFUSED  ", "Do not rely on this package.", "The statement was changed after it was signed.", "Signatures of those who acted: not in order"},
			[]string{"INCOMPLETE ", "ask the registry", "\nOpen  "}},
		"fr": {[]string{"VÉRIFIÉ  ", "\nCe que cela montre\n", "\nCe que cela ne montre pas\n", "  - Permet de\u00a0: consulter et télécharger\n", "Étape 5\u00a0: 1 mars 2027", "Ouverture de l’élément demandée.",
			"Autorisé\u00a0: ", "Fichiers du dossier exporté\u00a0: en ordre", "Est-ce le numéro que le greffe vous a donné\u00a0?"},
			[]string{"REFUSÉ  ", "Ne vous fiez pas à ce dossier exporté.", "La déclaration a été changée après sa signature.", "Signatures de ceux qui ont agi\u00a0: pas en ordre"},
			[]string{"INCOMPLET  ", "\nEn suspens "}},
		"es": {[]string{"COMPROBADO ", "\nLo que esto demuestra\n", "\nLo que esto no demuestra\n", "  - Permite: ", "Paso 5: 1 de marzo de 2027", "Permitido: ", "Archivos del paquete: en orden",
			"¿Es este el número que le dio la secretaría del tribunal?"},
			[]string{"RECHAZADO  ", "No se fíe de este paquete.", "Firmas de quienes actuaron: no está en orden"},
			[]string{"INCOMPLETO ", "\nPendiente  "}},
		"ar": {[]string{"تم التحقق ", "\nما يُثبته هذا\n", "\nما لا يُثبته هذا\n", "  - يجوز: الاطلاع والتنزيل\n", "الخطوة 5: 1 مارس/آذار 2027", "طُلب فتح المادة.", "مسموح به: ", "ملفات الحزمة: سليم",
			"هل هذا هو الرقم الذي أخبركم به قلم المحكمة؟", ": \u2068" + number(reported(t)) + "\u2069\n"},
			[]string{"مرفوض ", "لا تعتمدوا على هذه الحزمة.", "تغيّر البيان بعد توقيعه. [\u2068signatures: payload\u2069]", "تواقيع من تصرّفوا: غير سليم"},
			[]string{"غير مكتمل ", "\nلم يُحسم "}},
		"uk": {[]string{"ПЕРЕВІРЕНО ", "\nЩо це доводить\n", "\nЧого це не доводить\n", "  - Дозволено: ", "Крок 5: 1 березня 2027", "Дозволено: підписант мав ключ", "Файли пакета: у порядку",
			"Чи це той номер, який вам назвала канцелярія суду?"},
			[]string{"ВІДХИЛЕНО ", "Не покладайтеся на цей пакет.", "Підписи тих, хто діяв: не в порядку"},
			[]string{"НЕПОВНО ", "\nНе з’ясовано "}},
	} {
		for _, c := range []struct {
			args  []string
			pkg   string
			code  int
			words []string
		}{{opened, "genuine.zip", 0, want.verified}, {trust, "statement-changed.zip", 1, want.refused}, {nil, "genuine.zip", 2, want.incomplete}} {
			t.Setenv("LC_ALL", "C")
			code, out, errs := run(t, never, append(append([]string{"--language", tag}, c.args...), vectors+c.pkg)...)
			if code != c.code || errs != "" || !strings.HasPrefix(out, c.words[0]) {
				t.Errorf("%s, %s: exit %d, %s\n%s", tag, c.pkg, code, errs, out)
			}
			plain := unwrapped(out)
			for _, s := range c.words {
				if !strings.Contains(out, s) && !strings.Contains(plain, s) {
					t.Errorf("%s, %s: %q is missing\n%s", tag, c.pkg, s, out)
				}
			}
			programs := append(append([]string{"--json"}, c.args...), vectors+c.pkg)
			_, english, _ := run(t, never, programs...)
			if code, other, _ := run(t, never, append([]string{"--language", tag}, programs...)...); code != c.code || other != english || !strings.HasPrefix(other, "{") {
				t.Errorf("%s, %s: exit %d, and programs read something else", tag, c.pkg, code)
			}
			t.Setenv("LC_ALL", tag+"_XX.UTF-8")
			if again, located, _ := run(t, never, append(slices.Clone(c.args), vectors+c.pkg)...); again != code || located != out {
				t.Errorf("%s, %s: with that locale it says something else", tag, c.pkg)
			}
		}
	}
}

// unwrapped is a report as if its lines were not wrapped.
func unwrapped(report string) string {
	return strings.Join(strings.FieldsFunc(report, func(r rune) bool { return r == ' ' || r == '\n' }), " ")
}

// reported is what the program says in English of the genuine vector.
func reported(t *testing.T) string {
	code, out, _ := run(t, never, "--trust", vectors+"one.trust.json", vectors+"genuine.zip")
	if code != 0 {
		t.Fatal(out)
	}
	return out
}

// Which language it is: that of --language before the locale, of this LC_ALL, LC_MESSAGES and LANG in this order; English where there is none,
// and an answer of its own where one was asked for that there is not.
func TestWhichLanguage(t *testing.T) {
	for _, c := range []struct{ asked, all, messages, lang, want string }{
		{"", "", "", "", "INCOMPLETE"}, {"", "", "", "fr_FR.UTF-8", "INCOMPLET "}, {"", "", "es_ES.UTF-8", "fr_FR.UTF-8", "INCOMPLETO"}, {"", "C", "es_ES.UTF-8", "fr_FR.UTF-8", "INCOMPLETE"},
		{"", "uk_UA.UTF-8@x", "es_ES.UTF-8", "", "НЕПОВНО"}, {"", "de_DE.UTF-8", "", "", "INCOMPLETE"}, {"en", "fr_FR.UTF-8", "", "", "INCOMPLETE"}, {"AR-sy", "C", "", "", "غير مكتمل"},
		{"de", "fr_FR.UTF-8", "", "", ""}, {"english", "", "", "", ""},
	} {
		t.Setenv("LC_ALL", c.all)
		t.Setenv("LC_MESSAGES", c.messages)
		t.Setenv("LANG", c.lang)
		code, out, errs := run(t, never, "--language", c.asked, vectors+"genuine.zip")
		if code != 2 || !strings.HasPrefix(out, c.want) || (out == "") != (c.want == "") || strings.Contains(errs, "ar, en, es, fr, uk") != (c.want == "") {
			t.Errorf("%+v: exit %d, %s\n%.40s", c, code, errs, out)
		}
	}
}

func TestWithoutTrust(t *testing.T) {
	code, out, _ := run(t, never, vectors+"genuine.zip")
	if code != 2 || !strings.Contains(out, "The trust file is missing") {
		t.Errorf("exit %d\n%s", code, out)
	}
}

func TestUnable(t *testing.T) {
	garbage := filepath.Join(t.TempDir(), "garbage")
	if err := os.WriteFile(garbage, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{}, {"a", "b"}, {"--colour", "x"}, {filepath.Join(t.TempDir(), "none.zip")},
		{"--trust", garbage, vectors + "genuine.zip"},
		{"--identity", garbage, vectors + "genuine.zip"},
		{"--extract", t.TempDir(), vectors + "genuine.zip"},
	} {
		if code, out, errs := run(t, never, args...); code != 2 || out != "" || errs == "" {
			t.Errorf("%v: exit %d, %q, %q", args, code, out, errs)
		}
	}
	if code, _, _ := run(t, never, garbage); code != 1 {
		t.Errorf("garbage as a package: exit %d", code)
	}
}

func TestHelp(t *testing.T) {
	code, out, _ := run(t, never, "--help")
	for _, word := range []string{"--trust", "--identity", "--extract", "--previous", "--json", "--language TAG", strings.Join(dossier.Languages()[:4], ", ") + " or uk", "Exit code"} {
		if code != 0 || !strings.Contains(out, word) {
			t.Errorf("exit %d, no %s", code, word)
		}
	}
}

func TestExtract(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "opened")
	args := []string{"--trust", vectors + "one.trust.json", "--identity", vectors + "one.identity.txt", "--extract", dir}
	if code, _, errs := run(t, never, append(args, vectors+"evidence-replaced.zip")...); code != 1 || !strings.Contains(errs, "Nothing was written") {
		t.Errorf("exit %d, %s", code, errs)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a refused package was opened")
	}
	if code, _, errs := run(t, never, append(args, vectors+"genuine.zip")...); code != 0 {
		t.Fatalf("exit %d, %s", code, errs)
	}
	got, err := os.ReadFile(filepath.Join(dir, "exhibit-1.txt"))
	if err != nil || string(got) != "left forearm, three marks" {
		t.Errorf("%q, %v", got, err)
	}
	description, err := os.ReadFile(filepath.Join(dir, "exhibit-1.description.json"))
	if err != nil || !json.Valid(description) {
		t.Errorf("%q, %v", description, err)
	}
	if code, _, errs := run(t, never, append(args, vectors+"genuine.zip")...); code != 2 || !strings.Contains(errs, "nothing is overwritten") {
		t.Errorf("a second time: exit %d, %s", code, errs)
	}
	if list, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(list) != 2 {
		t.Errorf("%v, %v", list, err)
	}
}

// A locked key file asks for its passphrase, once.
func TestLockedIdentity(t *testing.T) {
	if testing.Short() {
		t.Skip("a passphrase takes a second and 256 MiB")
	}
	file, err := os.ReadFile(vectors + "one.identity.txt")
	if err != nil {
		t.Fatal(err)
	}
	id, err := sealing.ReadIdentityFile(file, "")
	if err != nil {
		t.Fatal(err)
	}
	locked, err := sealing.WriteIdentityFile(id, "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "locked.age")
	if err := os.WriteFile(name, locked, 0o600); err != nil {
		t.Fatal(err)
	}
	for passphrase, want := range map[string]int{"correct horse": 0, "wrong": 2} {
		asked := 0
		code, _, errs := run(t, func() (string, error) { asked++; return passphrase, nil }, "--trust", vectors+"one.trust.json", "--identity", name, vectors+"genuine.zip")
		if code != want || asked != 1 {
			t.Errorf("%s: exit %d, asked %d times, %s", passphrase, code, asked, errs)
		}
	}
}
