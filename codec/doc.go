// Package codec checks, repairs, encodes and decodes JPEGs and converts between raw picture formats.
package codec
