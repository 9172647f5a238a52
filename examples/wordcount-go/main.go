package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"sort"
	"strings"
	"unicode"
)

type Count struct {
	Word  string
	Times int
}

func CountWords(text string, counts map[string]int, minimum int, keepCase bool) {
	word := strings.Builder{}
	for _, r := range text + " " {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || r == '\'' {
			if keepCase {
				word.WriteRune(r)
			} else {
				word.WriteRune(unicode.ToLower(r))
			}
		} else if word.Len() > 0 {
			if word.Len() >= minimum {
				counts[word.String()]++
			}
			word.Reset()
		}
	}
}

func main() {
	top := flag.Int("top", 10, "how many words to show")
	minimum := flag.Int("min", 1, "shortest word that counts")
	keepCase := flag.Bool("case", false, "tell upper from lower case")
	flag.Parse()
	counts := map[string]int{}
	if flag.NArg() == 0 {
		scanner := bufio.NewScanner(os.Stdin)
		for scanner.Scan() {
			CountWords(scanner.Text(), counts, *minimum, *keepCase)
		}
		if err := scanner.Err(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	} else {
		for _, name := range flag.Args() {
			file, err := os.Open(name)
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			scanner := bufio.NewScanner(file)
			for scanner.Scan() {
				CountWords(scanner.Text(), counts, *minimum, *keepCase)
			}
			if err := scanner.Err(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			file.Close()
		}
	}
	sorted := []Count{}
	for word, times := range counts {
		sorted = append(sorted, Count{word, times})
	}
	sort.Slice(sorted, func(i, j int) bool {
		if sorted[i].Times == sorted[j].Times {
			return sorted[i].Word < sorted[j].Word
		}
		return sorted[i].Times > sorted[j].Times
	})
	for i, count := range sorted {
		if i == *top {
			break
		}
		fmt.Printf("%6d %s\n", count.Times, count.Word)
	}
}
