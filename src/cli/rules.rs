//! `divulge rules`.

use super::args::{Rules, RulesCommand};
use super::output::Output;
use super::{Exit, Failure, complain};
use crate::rules::RuleSet;
use crate::session;

pub(super) fn run(args: &Rules) -> Result<Exit, Failure> {
    let mut out = Output::open(None)?;
    match &args.command {
        RulesCommand::Check { folder } => {
            let files = session::rule_files(folder)?;
            let errors = RuleSet::check(&files);
            for error in &errors {
                complain(&folder.join(error.to_string()).display().to_string());
            }
            if !errors.is_empty() {
                return Ok(Exit::Failed);
            }
            writeln!(out.writer(), "{}: {} files, no mistakes", folder.display(), files.len())?;
        }
        RulesCommand::List => {
            let rules = session::load_rules(&[])?;
            for party in rules.sdks().chain(rules.companies()) {
                let hosts: Vec<_> = party.hosts.iter().map(|host| host.as_str()).collect();
                writeln!(out.writer(), "{}\t{}\t{}", party.id(), party.party.name, hosts.join(" "))?;
            }
        }
    }
    out.writer().flush()?;
    Ok(Exit::Fine)
}
