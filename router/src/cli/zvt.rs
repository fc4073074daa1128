//! `tillswitch zvt`: tools for people who look at what a ZVT terminal says.

mod json;
mod page;

use std::io::{BufRead, IsTerminal, Read};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use tillswitch_zvt::decode::{self, Disclosure};

use super::client::print::{out, tell};
use super::exit;
use page::Style;

/// A message has at most 65535 bytes of data; with blanks between them, doubled and framed, it is far below this.
const LONGEST_LINE: u64 = 1 << 20;

/// What `tillswitch zvt` takes.
#[derive(Args, Clone, Debug)]
pub struct ZvtArgs {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Clone, Debug, Subcommand)]
enum Tool {
    /// Explain frames, field by field
    Decode(DecodeArgs),
}

const EXAMPLES: &str = "\
Examples:
  tillswitch zvt decode '06 01 0A 04 00 00 00 00 25 90 49 09 78'
  tillswitch zvt decode 10:02:06:1e:01:6c:10:03:c9:f2     a frame of a serial line
  tillswitch zvt decode - --json < frames.txt              one per line, as one JSON object per message

Passwords, card numbers, tracks, tokens and slips are masked unless --unmasked is given.
Exit code 1 when a line was no frame or a frame was damaged.";

#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
struct DecodeArgs {
    /// One or several frames in hexadecimal, with or without blanks, colons and 0x, as TCP or a serial line carries them;
    /// `ECR>` or `PT>` in front says who sent them. `-` reads one per line from standard input
    #[arg(value_name = "HEX", required = true, num_args = 1..)]
    frames: Vec<String>,
    /// Print JSON: one object per message
    #[arg(long)]
    json: bool,
    /// Show card data, passwords and slips as well
    #[arg(long)]
    unmasked: bool,
}

/// Runs the tool.
pub fn run(args: &ZvtArgs) -> ExitCode {
    let Tool::Decode(args) = &args.tool;
    if args.unmasked {
        tell("warning: --unmasked shows card data, passwords and slips; keep this output to yourself");
    }
    let shows = Shows::from(args);
    let all_read = match args.frames.as_slice() {
        [only] if only == "-" => lines(&shows),
        words => one(&words.join(" "), &shows, None),
    };
    if all_read { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILED) }
}

/// How frames are shown.
struct Shows {
    json: bool,
    disclosure: Disclosure,
    style: Style,
}

impl Shows {
    fn from(args: &DecodeArgs) -> Shows {
        let disclosure = if args.unmasked { Disclosure::Unmasked } else { Disclosure::Masked };
        let style = Style::of(std::io::stdout().is_terminal());
        Shows { json: args.json, disclosure, style }
    }
}

/// Explains what stands on one line. Whether all of it could be read.
fn one(text: &str, shows: &Shows, line: Option<usize>) -> bool {
    match decode::read(text) {
        Ok(frame) => {
            let told = if shows.json {
                json::frame(&frame, shows.disclosure)
            } else {
                page::frame(&frame, shows.disclosure, shows.style)
            };
            out(&told);
            let faults = page::faults(&frame);
            faults.iter().for_each(|fault| complain(line, fault));
            faults.is_empty()
        }
        Err(error) => {
            complain(line, &error.to_string());
            false
        }
    }
}

fn complain(line: Option<usize>, fault: &str) {
    match line {
        Some(line) => tell(&format!("line {line}: {fault}")),
        None => tell(&format!("error: {fault}")),
    }
}

/// Explains standard input line by line; empty lines are passed over. Whether all of it could be read.
fn lines(shows: &Shows) -> bool {
    let mut input = std::io::stdin().lock();
    let mut all_read = true;
    for line in 1.. {
        match next_line(&mut input) {
            Ok(None) => break,
            Ok(Some(text)) if text.trim().is_empty() => {}
            Ok(Some(text)) => all_read &= one(&text, shows, Some(line)),
            Err(fault) => {
                complain(Some(line), &fault.text);
                all_read = false;
                if fault.is_last {
                    break;
                }
            }
        }
    }
    all_read
}

struct LineFault {
    text: String,
    is_last: bool,
}

/// The next line, of which no more than the limit is kept.
fn next_line(input: &mut impl BufRead) -> Result<Option<String>, LineFault> {
    let mut line = Vec::new();
    let broken = |error: std::io::Error| LineFault { text: error.to_string(), is_last: true };
    let size = input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line).map_err(broken)?;
    if size as u64 == LONGEST_LINE && line.last() != Some(&b'\n') {
        skip_line(input).map_err(broken)?;
        return Err(LineFault { text: format!("the line is longer than {LONGEST_LINE} bytes"), is_last: false });
    }
    // What is not UTF-8 is not hexadecimal either, and is reported as that.
    Ok((size > 0).then(|| String::from_utf8_lossy(&line).into_owned()))
}

fn skip_line(input: &mut impl BufRead) -> std::io::Result<()> {
    loop {
        let chunk = input.fill_buf()?;
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let (used, is_end) = (end.map_or(chunk.len(), |end| end + 1), end.is_some() || chunk.is_empty());
        input.consume(used);
        if is_end {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_end_costs_no_memory_and_no_other_line() {
        let long = vec![b'0'; LONGEST_LINE as usize + 100];
        let mut input = std::io::Cursor::new([&long[..], b"\n80 00 00\n"].concat());
        assert!(next_line(&mut input).is_err_and(|fault| !fault.is_last));
        assert_eq!(next_line(&mut input).ok().flatten().as_deref(), Some("80 00 00\n"));
        assert!(next_line(&mut input).is_ok_and(|line| line.is_none()));
    }
}
