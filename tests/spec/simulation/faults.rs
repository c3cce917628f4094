//! What goes wrong in the world.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use super::world::World;

impl World {
    /// Something fails, or comes back.
    pub(super) fn fault(&mut self, place: usize) {
        match self.dice.roll(16) {
            0..=2 => self.agent_dies_or_comes_back(place),
            3..=5 => {
                if self.places[place].linked {
                    self.cut(place);
                } else if self.places[place].agent.is_some() {
                    self.connect(place);
                }
            }
            6..=8 => {
                if self.centre.take().is_none() {
                    self.start_centre();
                }
            }
            9 if self.dice.once_in(4) => self.wipe_the_stream(),
            10 => {
                // The oldest message gives way to new ones.
                self.stream.messages.pop_first();
            }
            // Its window has passed: the stream takes repeated messages again.
            11 => self.stream.ids.clear(),
            12 => {
                let jump = i64::try_from(self.dice.roll(7_200_000)).unwrap();
                self.places[place].skew = jump - 3_600_000;
            }
            13 if !self.damages && self.dice.once_in(3) => self.back_up(),
            14 if !self.damages && self.dice.once_in(4) => self.restore(),
            _ => return,
        }
        self.faults += 1;
    }

    fn agent_dies_or_comes_back(&mut self, place: usize) {
        if self.places[place].agent.is_some() {
            self.kill_agent(place);
            return;
        }
        let files = segments(&self.places[place].folder);
        if let Some(last) = files.last()
            && self.dice.once_in(3)
        {
            // A batch was being written when it died.
            let mut file = fs::File::options().append(true).open(last).unwrap();
            file.write_all(&[7; 9]).unwrap();
        }
        if self.damages && !files.is_empty() && self.dice.once_in(3) {
            let file = &files[self.dice.index(files.len())];
            let mut bytes = fs::read(file).unwrap();
            let at = self.dice.index(bytes.len());
            bytes[at] ^= 1 << self.dice.roll(8);
            fs::write(file, bytes).unwrap();
            self.places[place].damaged = true;
        }
        self.start_agent(place);
        if self.dice.once_in(2) {
            self.connect(place);
        }
    }

    /// The server comes back without anything on its disk.
    fn wipe_the_stream(&mut self) {
        self.stream.generation += 1;
        self.stream.messages.clear();
        self.stream.ids.clear();
        self.stream.next = 1;
        self.bucket.clear();
        for place in 0..self.places.len() {
            let linked = self.places[place].linked;
            self.cut(place);
            if linked {
                self.connect(place);
            }
        }
        if self.centre.is_some() {
            self.start_centre();
        }
    }

    fn back_up(&mut self) {
        let file = self.folder.path().join(format!("backup-{}", self.faults));
        if let Some(centre) = &self.centre
            && !file.exists()
        {
            centre.back_up(&file);
            self.backup = Some((file, self.jobs.clone()));
        }
    }

    /// The coordinator begins again with an older database. Jobs that it does not know are gone.
    fn restore(&mut self) {
        let Some((file, jobs)) = self.backup.clone() else {
            return;
        };
        self.centre = None;
        let database = self.database();
        for suffix in ["-wal", "-shm"] {
            let mut name = database.clone().into_os_string();
            name.push(suffix);
            let _absent = fs::remove_file(name);
        }
        fs::copy(file, database).unwrap();
        self.jobs = jobs;
        self.start_centre();
    }
}

fn segments(folder: &std::path::Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder.join("spool")) else {
        return Vec::new();
    };
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .collect();
    files.sort();
    files
}
