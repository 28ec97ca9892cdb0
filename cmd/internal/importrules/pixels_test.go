package importrules

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../../.."

// parseGo calls visit for each Go file of the module that is not a test, except
// those of package capture itself.
func parseGo(t *testing.T, visit func(path string, fset *token.FileSet, file *ast.File)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err == nil {
			visit(path, fset, file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// pixelFormats returns the names of the constants of capture.PixelFormat.
func pixelFormats(t *testing.T) map[string]bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), root+"/capture/pixel.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if call, ok := spec.Values[0].(*ast.CallExpr); ok {
			if f, ok := call.Fun.(*ast.Ident); ok && f.Name == "PixelFormat" {
				names[spec.Names[0].Name] = true
			}
		}
		return true
	})
	if !names["YUYV"] || len(names) < 30 {
		t.Fatalf("%d pixel formats are found", len(names))
	}
	return names
}

// TestOneTableOfPixelFormats: a new pixel format is a row of the table in
// capture/pixel.go. A switch or a map by pixel formats elsewhere would be a second
// table, in which it would be missed.
func TestOneTableOfPixelFormats(t *testing.T) {
	formats := pixelFormats(t)
	isFormat := func(e ast.Expr) bool {
		s, ok := e.(*ast.SelectorExpr)
		if !ok {
			return false
		}
		pkg, ok := s.X.(*ast.Ident)
		return ok && pkg.Name == "capture" && formats[s.Sel.Name]
	}
	parseGo(t, func(path string, fset *token.FileSet, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CaseClause:
				for _, e := range n.List {
					if isFormat(e) {
						t.Errorf("%v: a case of one pixel format; use capture.PixelInfo", fset.Position(e.Pos()))
					}
				}
			case *ast.KeyValueExpr:
				if isFormat(n.Key) {
					t.Errorf("%v: a table by pixel formats; add a column to capture.PixelInfo", fset.Position(n.Pos()))
				}
			}
			return true
		})
	})
}
