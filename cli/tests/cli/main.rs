//! What users see of the command line: stories with files, every bad input, full disks, output for machines.

mod audit;
mod bad_files;
mod bad_input;
mod demo;
mod devices;
mod disk;
mod formats;
mod json;
mod report;
mod story;
mod world;
