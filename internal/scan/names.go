package scan

import (
	"slices"
	"strings"
	"unicode"
)

// name is a sequence of words to look for.
type name struct {
	of     int      // the name's place in the list, from 1
	words  []string // folded
	within bool     // also inside a longer word
}

// namesOf returns what a line of names stands for: the whole, and each word of it that is long enough to mean somebody.
func namesOf(text string, of int) (list []name) {
	var words []string
	each(text, func(word string, _ int) { words = append(words, word) })
	if len(words) == 0 {
		return nil
	}
	within := func(w string) bool { return len([]rune(w)) >= leastWithin(w) }
	list = append(list, name{of, words, len(words) == 1 && within(words[0])})
	if len(words) == 1 {
		return list
	}
	for _, w := range words {
		if alone(w) && !slices.ContainsFunc(list[1:], func(n name) bool { return n.words[0] == w }) {
			list = append(list, name{of, []string{w}, within(w)})
		}
	}
	return list
}

// alone: a short word, such as van, al or de, means nobody by itself. Where words are written without spaces, two characters do.
func alone(word string) bool {
	return len([]rune(word)) >= min(4, leastWithin(word))
}

// leastWithin is from how many characters on a word counts also inside another: scripts without spaces write names into the sentence.
func leastWithin(word string) int {
	for _, r := range word {
		switch {
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul):
			return 2
		case unicode.In(r, unicode.Arabic, unicode.Hebrew, unicode.Thai, unicode.Khmer, unicode.Lao, unicode.Myanmar):
			return 3
		}
	}
	return 5
}

// lookForNames tells each name in a text once at each place: the first of its words, an offset in bytes.
func (s *Scanner) lookForNames(text string, found func(of, offset int)) {
	if len(s.names) == 0 {
		return
	}
	longest := 1
	for _, n := range s.names {
		longest = max(longest, len(n.words))
	}
	var last []string // the newest words
	var at []int      // and where they begin
	each(text, func(word string, offset int) {
		last, at = append(last, word), append(at, offset)
		if len(last) > longest {
			last, at = last[1:], at[1:]
		}
		told := 0
		for _, n := range s.names {
			k := len(last) - len(n.words)
			if n.of == told || k < 0 {
				continue
			}
			if slices.Equal(last[k:], n.words) || n.within && strings.Contains(word, n.words[0]) {
				told = n.of
				found(n.of, at[len(at)-1])
			}
		}
	})
}

// each calls f for every word: letters and digits without accents, in lower case.
func each(text string, f func(word string, offset int)) {
	var word []rune
	begin := 0
	end := func() {
		if len(word) > 0 {
			f(string(word), begin)
			word = word[:0]
		}
	}
	for i, r := range text {
		switch {
		case unicode.Is(unicode.Mn, r) || r == '\u00ad' || r == '\u200c' || r == '\u200d': // accents, and what nobody sees
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			if len(word) == 0 {
				begin = i
			}
			word = append(word, fold(r)...)
		default:
			end()
		}
	}
	end()
}

// fold makes letters equal that are read as the same.
func fold(r rune) []rune {
	r = unicode.ToLower(r)
	if r < 0x80 {
		return []rune{r}
	}
	if plain, ok := plainLetters[r]; ok {
		return []rune(plain)
	}
	return []rune{r}
}

// plainLetters are letters of Latin script with what they are without their marks, as papers without them have it.
var plainLetters = func() map[rune]string {
	m := make(map[rune]string)
	for plain, letters := range map[string]string{
		"a": "àáâãäåāăąǎ", "ae": "æ", "c": "çćĉċč", "d": "ðďđ", "e": "èéêëēĕėęěə", "g": "ĝğġģ", "h": "ĥħ", "i": "ìíîïĩīĭįıǐ", "j": "ĵ", "k": "ķ",
		"l": "ĺļľŀł", "n": "ñńņňŋ", "o": "òóôõöøōŏőǒ", "oe": "œ", "r": "ŕŗř", "s": "śŝşšș", "ss": "ß", "t": "ţťŧț", "th": "þ", "u": "ùúûüũūŭůűųǔ",
		"w": "ŵ", "y": "ýÿŷ", "z": "źżž", "и": "й", "е": "ё", "ا": "أإآٱ", "ه": "ة", "ي": "ى",
	} {
		for _, r := range letters {
			m[r] = plain
		}
	}
	return m
}()
