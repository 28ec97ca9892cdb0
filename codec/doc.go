// Package codec checks, repairs, encodes and decodes JPEGs and converts between raw frame formats.
package codec
