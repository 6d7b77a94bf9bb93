"""A contract with every feature that a route can have, also those that the platform's own contracts do not use."""

from __future__ import annotations

import tempfile
from functools import cache
from importlib.resources import files
from pathlib import Path

import protobuf
from grpc_tools import protoc

from gateway.contracts import descriptors, rules
from gateway.contracts.routes import Route, RouteTable
from gateway.transcode.transcoding import Transcoder

HEAD = """
syntax = "proto3";
package bazaruto.quotes.test;
import "bazaruto/options/v1/options.proto";
import "google/api/annotations.proto";
import "google/api/httpbody.proto";
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
import "google/type/date.proto";
"""

PUBLIC = "option (bazaruto.options.v1.access) = {audience: AUDIENCE_PUBLIC};"

SAMPLE = (
    HEAD
    + """
// Lends books.
service LibraryService {
  // Read one book, for example to show it. Errors: RESOURCE_NOT_FOUND, ACCESS_DENIED.
  rpc GetBook(GetBookRequest) returns (Book) {
    option (google.api.http) = {
      get: "/v1/books/{book_id}"
      additional_bindings {get: "/v1/shelves/{shelf}/books/{book_id}"}
    };
    PUBLIC
  }
  // Read a book by its whole name.
  rpc GetNamed(NamedRequest) returns (Book) {
    option (google.api.http) = {get: "/v1/{name=libraries/*/books/**}"};
    PUBLIC
  }
  // Search.
  rpc SearchBooks(SearchRequest) returns (SearchResponse) {
    option (google.api.http) = {get: "/v1/books:search"};
    PUBLIC
  }
  // Only the titles.
  rpc ListTitles(SearchRequest) returns (SearchResponse) {
    option (google.api.http) = {get: "/v1/titles" response_body: "titles"};
    PUBLIC
  }
  // Add a book.
  rpc CreateBook(Book) returns (Book) {
    option (google.api.http) = {post: "/v1/books" body: "*"};
    PUBLIC
  }
  // Change a book.
  rpc UpdateBook(UpdateBookRequest) returns (Book) {
    option (google.api.http) = {
      patch: "/v1/books/{book.book_id}" body: "book"
      additional_bindings {put: "/v1/books/{book.book_id}" body: "book"}
    };
    PUBLIC
    option (bazaruto.options.v1.if_match) = true;
  }
  // Remove a book.
  rpc DeleteBook(GetBookRequest) returns (google.protobuf.Empty) {
    option (google.api.http) = {delete: "/v1/books/{book_id}"};
    PUBLIC
  }
  // Lend a book.
  rpc LendBook(GetBookRequest) returns (Book) {
    option (google.api.http) = {post: "/v1/books/{book_id}:lend" body: "*"};
    option (bazaruto.options.v1.access) = {audience: AUDIENCE_AUTHENTICATED};
    option (bazaruto.options.v1.idempotency) = IDEMPOTENCY_REQUIRED;
  }
  // Lock a book, by a method of HTTP that few know.
  rpc LockBook(GetBookRequest) returns (Book) {
    option (google.api.http) = {custom: {kind: "LOCK" path: "/v1/books/{book_id}"}};
    option deprecated = true;
    PUBLIC
    option (bazaruto.options.v1.deadline) = {seconds: 7 nanos: 500000000};
  }
  // Follow a book.
  rpc WatchBook(GetBookRequest) returns (stream Book) {
    option (google.api.http) = {get: "/v1/books/{book_id}:watch"};
    PUBLIC
  }
  // Download a book.
  rpc DownloadBook(GetBookRequest) returns (google.api.HttpBody) {
    option (google.api.http) = {get: "/v1/books/{book_id}/content"};
    PUBLIC
  }
  // Download a book in pieces.
  rpc DownloadPieces(GetBookRequest) returns (stream google.api.HttpBody) {
    option (google.api.http) = {get: "/v1/books/{book_id}/pieces"};
    PUBLIC
  }
  // Upload a book.
  rpc UploadBook(UploadRequest) returns (Book) {
    option (google.api.http) = {put: "/v1/books/{book_id}/content" body: "content"};
    PUBLIC
    option (bazaruto.options.v1.max_body_bytes) = 1048576;
  }
}

// How a book is bound.
enum Binding {
  BINDING_UNSPECIFIED = 0;
  BINDING_PAPER = 1;
  BINDING_CLOTH = 2;
}

// A book.
message Book {
  string book_id = 1;
  // Its title, for example `Ulysses`.
  string title = 2;
  Author author = 3;
  map<string, string> labels = 4;
  map<int32, Author> editions = 5;
  google.protobuf.StringValue note = 6;
  google.protobuf.Int64Value copies = 7;
  bytes cover = 8;
  Binding binding = 9;
  oneof price { int64 cents = 10; string free_because = 11; }
  google.protobuf.Timestamp printed_time = 12;
  google.protobuf.Duration loan = 13;
  google.protobuf.Struct extra = 14;
  google.protobuf.Any attachment = 15;
  repeated Author helpers = 16;
  double weight = 17;
  optional int32 pages = 18;
  string odd = 19 [json_name = "@odd"];
  string etag = 20;
  int64 sold = 21;
  bool rare = 22;
  repeated string tags = 23;
  google.type.Date sale_date = 24;
}

// Who wrote it.
message Author {
  string full_name = 1;
  Author teacher = 2;
  int32 born_year = 3;
}

// Request of GetBook.
message GetBookRequest { string book_id = 1; string shelf = 2; Binding binding = 3; }
// Request of GetNamed.
message NamedRequest { string name = 1; }
// Request of UpdateBook.
message UpdateBookRequest { Book book = 1; google.protobuf.FieldMask update_mask = 2; bool validate_only = 3; }
// Request of UploadBook.
message UploadRequest { string book_id = 1; google.api.HttpBody content = 2; }
// Request of SearchBooks.
message SearchRequest {
  string text = 1;
  repeated string tags = 2;
  map<string, string> labels = 3;
  Binding binding = 4;
  repeated Binding bindings = 5;
  bytes cover = 6;
  google.protobuf.Timestamp since_time = 7;
  google.protobuf.Duration loan = 8;
  google.protobuf.FieldMask read_mask = 9;
  google.protobuf.Int32Value limit = 10;
  google.protobuf.BoolValue rare = 11;
  Author author = 12;
  int64 sold = 13;
  double weight = 14;
  bool exact = 15;
  uint32 shelf = 16;
}
// Response of SearchBooks.
message SearchResponse { SearchRequest asked = 1; repeated string titles = 2; }
"""
).replace("    PUBLIC\n", f"    {PUBLIC}\n")


def compile_contract(text: str) -> bytes:
    """The descriptor set of a contract, with all its imports and comments."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "sample.proto")
        source.write_text(text, encoding="utf-8")
        target = Path(folder, "set.binpb")
        repository = Path(__file__).parents[3]
        third_party = Path(str(files("google.api").joinpath("annotations.proto"))).parents[2]
        well_known = Path(str(files("grpc_tools").joinpath("_proto")))
        code = protoc.main(
            [
                "protoc",
                f"-I{folder}",
                f"-I{repository / 'protos'}",
                f"-I{third_party}",
                f"-I{well_known}",
                "--include_imports",
                "--include_source_info",
                f"--descriptor_set_out={target}",
                "sample.proto",
            ]
        )
        assert code == 0, "the sample contract does not compile"
        return target.read_bytes()


@cache
def sample_set() -> bytes:
    """The descriptor set of the sample, compiled once."""
    return compile_contract(SAMPLE)


@cache
def registry() -> protobuf.Registry:
    """The types of the sample."""
    return descriptors.registry(sample_set())


@cache
def table() -> RouteTable:
    """The routes of the sample."""
    return rules.build(registry(), ["quotes"])


def kind(name: str) -> protobuf.DescMessage:
    """A message of the sample."""
    descriptor = registry().message(f"bazaruto.quotes.test.{name}")
    assert descriptor is not None
    return descriptor


def route(method: str, path: str) -> tuple[Route, list[str]]:
    """The route of a request on the sample, which must exist."""
    match = table().find(method, path)
    assert match is not None, f"{method} {path} has no route"
    return match


@cache
def transcoder(one: Route) -> Transcoder:
    """The transcoder of a route."""
    return Transcoder(one, registry())


def contract(*rpcs: str, messages: str = "message Thing { string name = 1; repeated string tags = 2; }") -> bytes:
    """A small contract with these RPCs, for rules that must be refused."""
    body = "\n".join(rpcs)
    return compile_contract(f"{HEAD}\nservice ThingService {{\n{body}\n}}\n{messages}\n")


def rpc(name: str, rule: str, access: str = PUBLIC, stream: str = "") -> str:
    """An RPC with a rule."""
    return f"rpc {name}({stream} Thing) returns (Thing) {{ option (google.api.http) = {{{rule}}}; {access} }}"
