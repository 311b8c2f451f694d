package config

import (
	"cmp"
	"embed"
	"fmt"
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"
)

// The comments of the structs are read from here: no manual is written twice.
//
//go:embed config.go serve.go timestamps.go
var sources embed.FS

// Setting is what the manual says of one field.
type Setting struct {
	Name    string // with dots
	Meaning string // one line
	Default string // what counts where the file does not say, "" for nothing
	Example string
	File    bool // it is the name of a file
	Secret  bool // of one that only strongroomd may read
}

// Value is a setting as it is in force. Where the file does not say it, Line is 0 and Value the default.
type Value struct {
	Setting
	Value string
	Line  int // from 1, in the file
}

// comments are those of the structs' fields ("Serve.Listen") and of the structs themselves ("Serve").
var comments = sync.OnceValue(func() map[string]string {
	found := make(map[string]string)
	files, _ := sources.ReadDir(".")
	for _, file := range files {
		text, err := sources.ReadFile(file.Name())
		if err != nil {
			panic(err)
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file.Name(), text, parser.ParseComments)
		if err != nil {
			panic(err) // it was compiled
		}
		for _, d := range parsed.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.TYPE {
				continue
			}
			spec := g.Specs[0].(*ast.TypeSpec)
			fields, ok := spec.Type.(*ast.StructType)
			if !ok {
				continue
			}
			found[spec.Name.Name] = plain(g.Doc)
			for _, f := range fields.Fields.List {
				found[spec.Name.Name+"."+f.Names[0].Name] = plain(f.Doc)
			}
		}
	}
	return found
})

// plain is the text of a comment, a line for each paragraph.
func plain(c *ast.CommentGroup) string {
	var parser comment.Parser
	printer := comment.Printer{TextWidth: -1}
	return strings.TrimSpace(strings.ReplaceAll(string(printer.Text(parser.Parse(c.Text()))), "\n\n", "\n"))
}

// field is one of a struct, with its place in the manual.
type field struct {
	Setting
	inner reflect.Type // the struct below it, or nil
	list  bool         // of such
}

// fields lists those of a struct.
func fields(t reflect.Type, path string) (list []field) {
	for i := range t.NumField() {
		f := t.Field(i)
		key := f.Tag.Get("yaml")
		of := f.Type
		if of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		one := field{Setting: Setting{
			Name: strings.TrimPrefix(path+"."+key, "."), Meaning: called(comments()[t.Name()+"."+f.Name], f.Name, key), Default: f.Tag.Get("default"),
			Example: cmp.Or(f.Tag.Get("example"), f.Tag.Get("default")), File: strings.HasSuffix(key, "_file"), Secret: f.Tag.Get("secret") != "",
		}}
		switch {
		case of.Kind() == reflect.Struct:
			one.inner = of
		case of.Kind() == reflect.Slice && of.Elem().Kind() == reflect.Struct:
			one.inner, one.list = of.Elem(), true
		}
		if one.inner != nil { // what the struct is was said with the field
			_, more, _ := strings.Cut(strings.ReplaceAll(comments()[one.inner.Name()], ".\n", ". "), ". ")
			one.Meaning = strings.TrimSpace(one.Meaning + " " + more)
		}
		list = append(list, one)
	}
	return list
}

// called puts a key for the name of a field with which its comment begins.
func called(meaning, name, key string) string {
	if rest, ok := strings.CutPrefix(meaning, name+" "); ok {
		return key + " " + rest
	}
	return meaning
}

const width = 140 // of a line of Example

// Example is a configuration with every setting, and what each of them means. It is valid.
func Example() []byte {
	var b strings.Builder
	b.WriteString(`# Configuration of strongroomd, with every setting. None is needed: what is not in the file has its default, and without a file the whole
# vault is in one folder. Secrets are never in it, but in files that it names. A relative file name counts from the folder of this file.
#
# strongroomd config show prints this text, and strongroomd config check says what a file comes to.
`)
	example(&b, reflect.TypeFor[Config](), "", "")
	return []byte(b.String())
}

func example(b *strings.Builder, t reflect.Type, path, indent string) {
	for i, f := range fields(t, path) {
		if indent == "" || i > 0 && f.inner != nil {
			b.WriteByte('\n')
		}
		explanation := f.Meaning
		if f.Default != "" && f.Default != f.Example {
			explanation += " Default: " + f.Default + "."
		}
		for _, line := range wrap(explanation, width-len(indent)-2) {
			b.WriteString(indent + "# " + line + "\n")
		}
		key := f.Name[strings.LastIndexByte(f.Name, '.')+1:]
		switch {
		case f.list:
			b.WriteString(indent + key + ":\n")
			var element strings.Builder
			example(&element, f.inner, f.Name, indent+"    ")
			// The first key of an element follows its dash.
			explained, keys, _ := strings.Cut(element.String(), indent+"    name:")
			b.WriteString(strings.ReplaceAll(explained, indent+"    #", indent+"  #") + indent + "  - name:" + keys)
		case f.inner != nil:
			b.WriteString(indent + key + ":\n")
			example(b, f.inner, f.Name, indent+"  ")
		default:
			b.WriteString(indent + key + ": " + f.Example + "\n")
		}
	}
}

// wrap breaks a text into lines of at most so many characters, unless a word is longer.
func wrap(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return append(lines, line)
}

// Values lists every setting of a file as it is in force; path "" is no file. Of what is not there as a whole, such as a bucket, it lists the
// one name. Errors are those of [Read].
func Values(path string) ([]Value, error) {
	var c Config
	lines := make(map[string]int)
	if path != "" {
		var err error
		if c, err = Read(path); err != nil {
			return nil, err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("configuration: %w", err)
		}
		if lines, err = linesOf(text); err != nil {
			return nil, err
		}
	}
	return values(reflect.ValueOf(c), "", "", lines), nil
}

// linesOf returns the lines of a text's fields.
func linesOf(text []byte) (map[string]int, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, &Error{What: "is not YAML"}
	}
	found := make(map[string]int)
	lines(&root, "", found)
	return found, nil
}

// values walks a struct. path names its fields in the manual, at where they stand.
func values(v reflect.Value, path, at string, lines map[string]int) (list []Value) {
	for i, f := range fields(v.Type(), path) {
		name := strings.TrimPrefix(at+"."+f.Name[strings.LastIndexByte(f.Name, '.')+1:], ".")
		one := Value{Setting: f.Setting, Line: lines[name]}
		one.Name = name
		value := v.Field(i)
		if value.Kind() == reflect.Pointer && !value.IsNil() {
			value = value.Elem()
		}
		switch {
		case f.inner != nil && (value.Kind() == reflect.Pointer || f.list && value.Len() == 0):
			list = append(list, one)
		case f.list:
			for j := range value.Len() {
				list = append(list, values(value.Index(j), f.Name, fmt.Sprintf("%s[%d]", name, j), lines)...)
			}
		case f.inner != nil:
			list = append(list, values(value, f.Name, name, lines)...)
		default:
			one.Value = show(value)
			if value.IsZero() && one.Line == 0 {
				one.Value = f.Default
			}
			list = append(list, one)
		}
	}
	return list
}

func show(v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		return ""
	}
	switch v := v.Interface().(type) {
	case time.Duration:
		return v.String()
	case []string:
		return "[" + strings.Join(slices.Clone(v), ", ") + "]"
	}
	return fmt.Sprint(v.Interface())
}
